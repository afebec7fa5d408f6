//! Kernels for convolutions, as MLIR on buffers and vectors.
//!
//! IREE's own code for convolutions keeps few sums in registers and knows no fast form of them. So the importer calls
//! kernels of its own, which are generated here for the sizes at hand and the target's vector unit ([`Simd`]):
//! [`winograd`] for filters of 3x3 with stride 1, [`pointwise`] for those of 1x1 and for matrix products, [`direct`] for all
//! others, and [`depthwise`] for layers whose filters are of one channel each. [`batched`] multiplies computed matrices, and
//! [`rows`] does what networks do to rows. Bias, residual sum and activation are part of a kernel, and a kernel writes the
//! zeros around its result that the next convolution asks for.

mod arm;
mod batched;
mod code;
mod concat;
mod curve;
mod depthwise;
mod direct;
mod excerpt;
mod grid;
mod output;
mod pointwise;
mod product;
mod rows;
mod simd;
mod sum;
mod transform;
mod winograd;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use skipgate_core::{Arithmetic, CompileOptions};

pub(crate) use batched::Product;
pub(crate) use concat::Concat;
pub(crate) use curve::Curve;
pub(crate) use excerpt::Excerpt;
pub(crate) use output::{Quantization, ROUNDER, Step};
pub(crate) use rows::{RowOperation, Rows};
pub(crate) use simd::Simd;
pub(crate) use transform::Transform;

use code::{Code, Value};

/// An image of rows and columns somewhere in a larger one: the rest of it is room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Rows and columns of the larger image.
    pub(crate) outer: [usize; 2],
    /// Where the image begins.
    pub(crate) low: [usize; 2],
}

/// How the filters of a convolution move over an image. Pairs are of rows and columns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Window {
    pub(crate) channels: usize,
    pub(crate) filters: usize,
    /// Channels and filters are in so many groups. Each group's filters are of its own channels.
    pub(crate) groups: usize,
    /// Of a filter.
    pub(crate) taps: [usize; 2],
    pub(crate) strides: [usize; 2],
    /// From one tap to the next.
    pub(crate) dilations: [usize; 2],
    /// Padding in front of the image.
    pub(crate) low: [usize; 2],
    /// Of the result.
    pub(crate) size: [usize; 2],
}

impl Window {
    /// Whether each filter is of the one channel of its number.
    fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.groups == self.channels && self.groups == self.filters
    }

    /// Whether each result is of one pixel and all of its channels.
    fn is_pointwise(&self) -> bool {
        self.groups == 1 && self.taps == [1, 1] && self.strides == [1, 1]
    }

    /// Rows or columns from the first tap of the first result to the last of the last; `None` where that is no number.
    pub(crate) fn reach(&self, axis: usize) -> Option<usize> {
        let results = self.size[axis].checked_sub(1)?.checked_mul(self.strides[axis])?;
        covered(self.taps[axis], self.dilations[axis])?.checked_add(results)
    }

    fn channels_of_group(&self) -> usize {
        self.channels / self.groups
    }

    /// Filters that read the same channels, or all of a depthwise convolution: those that vectors are made of.
    fn alike_filters(&self) -> usize {
        if self.is_depthwise() { self.filters } else { self.filters / self.groups }
    }
}

/// Rows or columns from the first tap of a filter to its last, both among them; `None` where that is no number.
pub(crate) fn covered(taps: usize, dilation: usize) -> Option<usize> {
    taps.checked_sub(1)?.checked_mul(dilation)?.checked_add(1)
}

/// A convolution of one image, channels last, and what is done to its results.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Convolution {
    pub(crate) window: Window,
    /// Where the first filter is applied.
    pub(crate) input: Place,
    /// What is done to every sum, in order.
    pub(crate) steps: Vec<Step>,
    pub(crate) output: Place,
}

impl Convolution {
    /// Row and column of the image that the first tap meets for the result at `row` and `column`.
    fn first_tap(&self, code: &mut Code, [row, column]: [&Value; 2]) -> [Value; 2] {
        [(row, 0), (column, 1)].map(|(at, axis)| {
            let at = code.multiple(at, self.window.strides[axis]);
            code.offset(&at, self.input.low[axis])
        })
    }

    /// The image that is added, of which there is one at most.
    pub(crate) fn residual(&self) -> Option<&Place> {
        self.steps.iter().find_map(|step| match step {
            Step::Add(place) => Some(place),
            _ => None,
        })
    }
}

/// How a convolution is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Method {
    Depthwise,
    Direct,
    Pointwise,
    Winograd(Transform),
}

/// A convolution ready to be called.
pub(crate) struct Kernel {
    /// The executable's symbol.
    pub(crate) symbol: String,
    /// The weights in the order that the kernel reads them in.
    pub(crate) weights: Vec<f32>,
    /// Shape of the weights.
    pub(crate) weights_shape: Vec<usize>,
    /// What transforms the weights once, when the network is loaded, if anything does.
    pub(crate) preparation: Option<Preparation>,
    /// Floats that the kernel needs while it runs, if any.
    pub(crate) scratch: Option<usize>,
}

/// A kernel that transforms weights.
pub(crate) struct Preparation {
    pub(crate) symbol: String,
    /// Shape of its result.
    pub(crate) shape: Vec<usize>,
}

/// The kernels of one module.
pub(crate) struct Kernels {
    simd: Simd,
    options: CompileOptions,
    convolutions: BTreeMap<(Convolution, Method), Executable>,
    excerpts: BTreeMap<Excerpt, Executable>,
    products: BTreeMap<Product, Executable>,
    concats: BTreeMap<Concat, Executable>,
    rows: BTreeMap<Rows, Executable>,
    /// By number of elements.
    sums: BTreeMap<usize, Executable>,
    /// Transforms of weights, by the shapes before and after it.
    preparations: BTreeMap<([Vec<usize>; 2], Transform), Executable>,
}

/// A kernel that reads each element of one binding before it writes the one in the same place of another, and never again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InPlace {
    pub(crate) symbol: String,
    /// Number of the binding that it reads.
    pub(crate) reads: usize,
    /// Number of the binding that it writes.
    pub(crate) writes: usize,
}

/// The residual image and the result among the bindings of a convolution.
const RESIDUAL_AND_RESULT: [usize; 2] = [3, 4];
/// The first addend and the result among those of a sum.
const ADDEND_AND_RESULT: [usize; 2] = [0, 2];

struct Executable {
    symbol: String,
    text: String,
}

/// What a new executable gets.
struct Make {
    number: usize,
    name: String,
    /// Bindings that are read and that are written.
    bindings: [usize; 2],
}

impl Make {
    /// The symbol of the executable for `key` among `executables`.
    fn unless_there<K: Ord + Clone>(
        self,
        executables: &mut BTreeMap<K, Executable>,
        key: &K,
        body: impl FnOnce(&K) -> Body,
    ) -> String {
        let make = || {
            let symbol = format!("{}_{}", self.name, self.number);
            let text = executable(&symbol, self.bindings, &body(key));
            Executable { symbol, text }
        };
        executables.entry(key.clone()).or_insert_with(make).symbol.clone()
    }
}

/// What a kernel's generator is asked for.
struct Body {
    text: String,
    workgroups: usize,
}

impl Method {
    /// What profiles show: rows x columns x channels x filters of the result, the filters' size and the method.
    fn name(self, window: &Window) -> String {
        let Window { channels, filters, groups, taps, strides, dilations, size, .. } = window;
        let [sizes, taps, strides, steps] = [size, taps, strides, dilations].map(|[y, x]| format!("{y}x{x}"));
        let dilated = if *dilations == [1, 1] { String::new() } else { format!("_dilated_{steps}") };
        let groups = if *groups > 1 { format!("in{groups}_") } else { String::new() };
        let method = match self {
            Self::Depthwise => "depthwise".to_owned(),
            Self::Direct => "direct".to_owned(),
            Self::Pointwise => "pointwise".to_owned(),
            Self::Winograd(transform) => format!("winograd{}", transform.outputs()),
        };
        format!("conv_{sizes}x{channels}x{filters}_{groups}{taps}_by_{strides}{dilated}_{method}")
    }
}

impl Kernels {
    pub(crate) fn new(simd: Simd, options: &CompileOptions) -> Self {
        Self {
            simd,
            options: options.clone(),
            convolutions: BTreeMap::new(),
            excerpts: BTreeMap::new(),
            products: BTreeMap::new(),
            concats: BTreeMap::new(),
            rows: BTreeMap::new(),
            sums: BTreeMap::new(),
            preparations: BTreeMap::new(),
        }
    }

    /// Fails if there are no kernels at all.
    pub(crate) fn are_on(&self) -> Result<(), String> {
        if self.options.kernels { Ok(()) } else { Err("kernels are turned off".to_owned()) }
    }

    /// The kernel for `convolution`, whose weights are `[filter][channel][row][column]`.
    pub(crate) fn kernel(&mut self, convolution: &Convolution, weights: &[f32]) -> Kernel {
        let window = &convolution.window;
        // Those of 1x1 use registers of several widths, and so do others where filters fill none.
        let filled = self.simd.filled_by(window.alike_filters()).filter(|_| !window.is_pointwise());
        let simd = filled.unwrap_or(self.simd);
        let method = self.method(convolution, filled);
        let (weights, weights_shape, scratch) = match method {
            Method::Depthwise => {
                (depthwise::weights(convolution, weights), depthwise::weights_shape(convolution), None)
            }
            Method::Direct => {
                (direct::weights(convolution, simd, weights), direct::weights_shape(convolution, simd), None)
            }
            Method::Pointwise => {
                (pointwise::weights(convolution, simd, weights), pointwise::weights_shape(convolution), None)
            }
            Method::Winograd(transform) => (
                winograd::weights(convolution, transform, simd, weights),
                winograd::weights_shapes(convolution, transform, simd)[0].clone(),
                Some(winograd::scratch(convolution, transform)),
            ),
        };
        let preparation = match method {
            Method::Winograd(transform) => Some(self.preparation(convolution, transform, simd)),
            _ => None,
        };
        let number = self.count();
        let executable = self.convolutions.entry((convolution.clone(), method)).or_insert_with(|| {
            let symbol = format!("{}_{number}", method.name(&convolution.window));
            let body = match method {
                Method::Depthwise => depthwise::body(convolution, simd),
                Method::Direct => direct::body(convolution, simd),
                Method::Pointwise => pointwise::body(convolution, simd),
                Method::Winograd(transform) => winograd::body(convolution, transform, simd),
            };
            let read_only = 3 + usize::from(convolution.residual().is_some());
            let text = executable(&symbol, [read_only, 1 + usize::from(scratch.is_some())], &body);
            Executable { symbol, text }
        });
        Kernel { symbol: executable.symbol.clone(), weights, weights_shape, preparation, scratch }
    }

    fn preparation(&mut self, convolution: &Convolution, transform: Transform, simd: Simd) -> Preparation {
        let key = (winograd::weights_shapes(convolution, transform, simd), transform);
        let [from, shape] = key.0.clone();
        let name = format!("weights_{}_winograd{}", extents(&from), transform.outputs());
        let make = Make { number: self.count(), name, bindings: [1, 1] };
        let body = |(shapes, transform): &([Vec<usize>; 2], Transform)| {
            winograd::weights_body(shapes, *transform, simd)
        };
        Preparation { symbol: make.unless_there(&mut self.preparations, &key, body), shape }
    }

    /// The symbol of the kernel for `excerpt`.
    pub(crate) fn excerpt(&mut self, excerpt: &Excerpt) -> String {
        let make = Make { number: self.count(), name: excerpt.name(), bindings: [1, 1] };
        make.unless_there(&mut self.excerpts, excerpt, |excerpt| excerpt::body(excerpt, self.simd))
    }

    /// The symbol of the kernel for `product`.
    pub(crate) fn product(&mut self, product: &Product) -> String {
        let make = Make { number: self.count(), name: product.name(), bindings: [2, 1] };
        make.unless_there(&mut self.products, product, |product| batched::body(product, self.simd))
    }

    /// The symbol of the kernel for `concat`.
    pub(crate) fn concat(&mut self, concat: &Concat) -> String {
        let make = Make { number: self.count(), name: concat.name(), bindings: [concat.parts.len(), 1] };
        make.unless_there(&mut self.concats, concat, |concat| concat::body(concat, self.simd))
    }

    /// The symbol of the kernel for `rows`.
    pub(crate) fn rows(&mut self, rows: &Rows) -> String {
        let make = Make { number: self.count(), name: rows.name(), bindings: [rows.read(), 1] };
        make.unless_there(&mut self.rows, rows, |rows| rows::body(rows, self.simd))
    }

    /// The symbol of the kernel that adds two tensors of so many elements.
    pub(crate) fn sum(&mut self, elements: usize) -> String {
        let make = Make { number: self.count(), name: sum::name(elements), bindings: [2, 1] };
        make.unless_there(&mut self.sums, &elements, |&elements| sum::body(elements, self.simd))
    }

    /// The kernels with two bindings that may be in one place.
    pub(crate) fn in_place(&self) -> Vec<InPlace> {
        let lies_alike = |convolution: &Convolution| convolution.residual() == Some(&convolution.output);
        let convolutions = self.convolutions.iter().filter(|((convolution, _), _)| lies_alike(convolution));
        let convolutions = convolutions.map(|(_, executable)| (executable, RESIDUAL_AND_RESULT));
        let sums = self.sums.values().map(|executable| (executable, ADDEND_AND_RESULT));
        let in_place = |(executable, [reads, writes]): (&Executable, [usize; 2])| InPlace {
            symbol: executable.symbol.clone(),
            reads,
            writes,
        };
        convolutions.chain(sums).map(in_place).collect()
    }

    fn count(&self) -> usize {
        self.convolutions.len()
            + self.excerpts.len()
            + self.products.len()
            + self.concats.len()
            + self.rows.len()
            + self.sums.len()
            + self.preparations.len()
    }

    /// `filled` are vectors that the filters fill.
    fn method(&self, convolution: &Convolution, filled: Option<Simd>) -> Method {
        if convolution.window.is_depthwise() {
            return Method::Depthwise;
        }
        if convolution.window.is_pointwise() {
            return Method::Pointwise;
        }
        let outputs = match self.options.arithmetic {
            Arithmetic::Exact => None,
            Arithmetic::Fast => Some(winograd::best_outputs(convolution.window.size)),
            Arithmetic::Tiles(outputs) => Some(outputs.get()),
        };
        let transform = outputs.zip(filled);
        let transform = transform.and_then(|(outputs, simd)| winograd::transform(convolution, simd, outputs));
        transform.map_or(Method::Direct, Method::Winograd)
    }

    /// Writes the executables, which stand in the module beside the functions that call them.
    pub(crate) fn write(&self, text: &mut String) {
        let copies = self.convolutions.values().chain(self.excerpts.values());
        let matrices = self.products.values().chain(self.rows.values());
        let others = self.concats.values().chain(self.sums.values()).chain(self.preparations.values());
        for executable in copies.chain(matrices).chain(others) {
            text.push_str(&executable.text);
        }
    }
}

/// The executable `symbol`, whose one function has the same name, with so many bindings that are read and that are written.
fn executable(symbol: &str, [read, written]: [usize; 2], body: &Body) -> String {
    let bindings: Vec<_> = (0..read)
        .map(|_| "#hal.pipeline.binding<storage_buffer, ReadOnly>")
        .chain((0..written).map(|_| "#hal.pipeline.binding<storage_buffer>"))
        .collect();
    let layout = format!("#hal.pipeline.layout<bindings = [{}]>", bindings.join(", "));
    let mut text = String::new();
    let _ = write!(
        text,
        "hal.executable.source private @{symbol} {{
           hal.executable.export public @{symbol} ordinal(0) layout({layout})
               count(%device: !hal.device) -> (index, index, index) {{
             %workgroups = arith.constant {} : index
             %one = arith.constant 1 : index
             hal.return %workgroups, %one, %one : index, index, index
           }}
           builtin.module {{
             func.func @{symbol}() {{
               {}
               return
             }}
           }}
         }}
",
        body.workgroups,
        body.text.replace("#layout", &layout),
    );
    text
}

/// The buffers of a kernel, by their role. Its bindings are image, weights, bias, the residual image if there is one, the
/// result, and scratch if there is some.
struct Buffers {
    image: code::Memory,
    weights: code::Memory,
    bias: code::Memory,
    residual: Option<code::Memory>,
    result: code::Memory,
    /// Number of the binding behind the last of these.
    scratch: usize,
}

impl Buffers {
    /// With images as rows of columns of pixels.
    fn bind(code: &mut Code, convolution: &Convolution, weights: &[usize]) -> Self {
        Self::shaped(code, convolution, weights, image)
    }

    /// With images as pixels, row by row.
    fn of_vectors(code: &mut Code, convolution: &Convolution, weights: &[usize]) -> Self {
        Self::shaped(code, convolution, weights, |place, channels| {
            vec![place.outer.iter().product(), channels]
        })
    }

    /// The result alone, as rows of columns of pixels.
    fn result(code: &mut Code, convolution: &Convolution) -> code::Memory {
        let number = RESIDUAL_AND_RESULT[usize::from(convolution.residual().is_some())];
        code.binding(number, &image(&convolution.output, convolution.window.filters))
    }

    fn shaped(
        code: &mut Code,
        convolution: &Convolution,
        weights: &[usize],
        image: fn(&Place, usize) -> Vec<usize>,
    ) -> Self {
        let filters = convolution.window.filters;
        let mut number = 0;
        let mut bind = |shape: &[usize]| {
            number += 1;
            code.binding(number - 1, shape)
        };
        let input = bind(&image(&convolution.input, convolution.window.channels));
        let weights = bind(weights);
        let bias = bind(&[filters]);
        let residual = convolution.residual().map(|place| bind(&image(place, filters)));
        let result = bind(&image(&convolution.output, filters));
        Self { image: input, weights, bias, residual, result, scratch: number }
    }
}

/// The shape of an image with so many channels, and what is around it.
fn image(place: &Place, channels: usize) -> Vec<usize> {
    vec![place.outer[0], place.outer[1], channels]
}

/// `2x3x4`.
fn extents(shape: &[usize]) -> String {
    shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("x")
}

/// The largest divisor of `number` that is at most `limit`.
fn divisor(number: usize, limit: usize) -> usize {
    (1..=limit.min(number)).rfind(|divisor| number % divisor == 0).unwrap_or(1)
}
