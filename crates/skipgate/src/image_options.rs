//! What `compile` is told about images and classes, put into the model where an artifact takes it from.

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use skipgate_core::file::read_text;
use skipgate_core::{ColorMode, Interpolation, Layout, Preprocessing, Resize, class_count};
use skipgate_onnx::element_type::{INT8, UINT8};
use skipgate_onnx::{MASK_INPUT, Model, infer_shapes};

use crate::cli::{Crop, ImageOptions, Preset};

/// Mean and deviation of the training images of `ImageNet`.
const IMAGENET: ([f32; 3], [f32; 3]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
/// What makes values from -1 to 1.
const INCEPTION: ([f32; 3], [f32; 3]) = ([0.5; 3], [0.5; 3]);

/// The largest value of a channel where means and deviations are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Largest {
    One,
    Byte,
}

/// What the input of a network holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    Floats,
    Bytes,
}

impl ImageOptions {
    /// The model with what the options say about images and classes. The model itself says the rest.
    pub(crate) fn apply(&self, model: &Model) -> Result<Model> {
        let mut model = model.clone();
        let (shape, takes) = input(&model)?;
        if let Some(preprocessing) = self.preprocessing(model.preprocessing()?, &shape, takes)? {
            model = model.with_preprocessing(&preprocessing)?;
        }
        if let Some(path) = &self.classes {
            model = model.with_class_names(&class_names(path, class_count(&shape_of_output(&model)?))?)?;
        }
        Ok(model)
    }

    /// How an image becomes an input of `shape`; `own` is what the model says. `None` if nobody says anything.
    fn preprocessing(
        &self,
        own: Option<Preprocessing>,
        shape: &[usize],
        takes: Takes,
    ) -> Result<Option<Preprocessing>> {
        let Self { preset, mean, std, scale, resize, interpolation, crop, layout, colour, classes } = self;
        if *self == (Self { classes: classes.clone(), ..Self::default() }) {
            return Ok(own);
        }
        let layout = layout.or(own.as_ref().map(|own| own.layout)).or(layout_of(shape)).unwrap_or_default();
        let own = match preset {
            Some(preset) => Some(preset.preprocessing(layout, shape)),
            None => own,
        };
        let own = own
            .or((takes == Takes::Bytes && mean.is_empty() && std.is_empty()).then(|| bytes(layout, shape)));
        let color = colour.or(own.as_ref().map(|own| own.color)).unwrap_or(color_of(layout, shape));
        let own = own.map(|own| in_order_of(own, color));
        let largest = if scale.as_deref() == Some("255") { Largest::Byte } else { Largest::One };
        let preprocessing = Preprocessing {
            color,
            resize: resize.or(own.as_ref().map(|own| own.resize)).unwrap_or(Resize::Exact),
            interpolation: interpolation.or(own.as_ref().map(|own| own.interpolation)).unwrap_or_default(),
            layout,
            mean: values("--mean", mean, largest, color, own.as_ref().map(|own| &own.mean))?,
            std: values("--std", std, largest, color, own.as_ref().map(|own| &own.std))?,
        };
        if takes == Takes::Bytes {
            check_bytes(&preprocessing.std)?;
        }
        let size = preprocessing.size(shape).map_err(anyhow::Error::msg)?;
        check_crop(*crop, preprocessing.resize, size)?;
        Ok(Some(preprocessing))
    }
}

impl Preset {
    fn preprocessing(self, layout: Layout, shape: &[usize]) -> Preprocessing {
        let (mean, std) = match self {
            Self::Imagenet => IMAGENET,
            Self::Inception => INCEPTION,
        };
        let side = match (layout, shape) {
            (Layout::Nchw, &[_, _, height, width]) | (Layout::Nhwc, &[_, height, width, _]) => {
                height.min(width)
            }
            _ => 0,
        };
        Preprocessing {
            color: ColorMode::Rgb,
            resize: Resize::ShorterSide(u32::try_from(side.saturating_mul(8) / 7).unwrap_or(u32::MAX)),
            interpolation: Interpolation::Bilinear,
            layout,
            mean: mean.to_vec(),
            std: std.to_vec(),
        }
    }
}

/// What gives a network bytes as they are.
fn bytes(layout: Layout, shape: &[usize]) -> Preprocessing {
    let color = color_of(layout, shape);
    Preprocessing {
        color,
        resize: Resize::Exact,
        interpolation: Interpolation::Bilinear,
        layout,
        mean: vec![0.0; color.channels()],
        std: vec![1.0 / 255.0; color.channels()],
    }
}

/// Fails if several bytes of an image would become one.
fn check_bytes(std: &[f32]) -> Result<()> {
    ensure!(
        std.iter().all(|std| std * 255.0 < 1.001),
        "the input takes bytes, and this --std or --preset leaves few of the 256 that a channel has; bytes as they are: --scale 255 --mean 0 --std 1"
    );
    Ok(())
}

/// The layout of an input that has one or three channels at one end alone.
fn layout_of(shape: &[usize]) -> Option<Layout> {
    match shape {
        [_, 1 | 3, ..] => Some(Layout::Nchw),
        [_, _, _, 1 | 3] => Some(Layout::Nhwc),
        _ => None,
    }
}

fn color_of(layout: Layout, shape: &[usize]) -> ColorMode {
    match (layout, shape) {
        (Layout::Nchw, [_, 1, _, _]) | (Layout::Nhwc, [_, _, _, 1]) => ColorMode::Gray,
        _ => ColorMode::Rgb,
    }
}

/// The same with the channels of `color`: a mean goes where its channel goes.
fn in_order_of(mut preprocessing: Preprocessing, color: ColorMode) -> Preprocessing {
    if matches!(
        (preprocessing.color, color),
        (ColorMode::Rgb, ColorMode::Bgr) | (ColorMode::Bgr, ColorMode::Rgb)
    ) {
        preprocessing.mean.reverse();
        preprocessing.std.reverse();
    }
    preprocessing
}

/// The values for each channel of `color` on the 0..1 scale: those that were given, or else `own`.
fn values(
    option: &str,
    given: &[f32],
    largest: Largest,
    color: ColorMode,
    own: Option<&Vec<f32>>,
) -> Result<Vec<f32>> {
    let channels = color.channels();
    match (given, own) {
        ([], Some(own)) => return Ok(own.clone()),
        ([], None) => bail!(
            "{option} is missing, and neither the model nor a --preset says it; values from 0 to 1 are --mean 0 --std 1"
        ),
        _ => {}
    }
    ensure!(
        given.len() == 1 || given.len() == channels,
        "{option} has {} values, the input has {channels} channels ({color})",
        given.len()
    );
    let past_one = given.iter().find(|value| value.abs() > 1.0).filter(|_| largest == Largest::One);
    if let Some(value) = past_one {
        bail!(
            "{option} has {value}, where channels have values from 0 to 1; add --scale 255 if theirs are from 0 to 255"
        );
    }
    let scale = match largest {
        Largest::One => 1.0,
        Largest::Byte => 255.0,
    };
    let scaled: Vec<_> = given.iter().map(|value| value / scale).collect();
    Ok(if scaled.len() == 1 { vec![scaled[0]; channels] } else { scaled })
}

/// Fails unless the size that is cut out is that of the input, and there is something to cut it out of.
fn check_crop(crop: Option<Crop>, resize: Resize, (height, width): (u32, u32)) -> Result<()> {
    let Some(crop) = crop else { return Ok(()) };
    ensure!(
        crop == Crop { height, width },
        "--crop is {}x{}, the input is {height}x{width}",
        crop.height,
        crop.width
    );
    ensure!(resize != Resize::Exact, "--crop needs a --resize to say what it is cut out of");
    Ok(())
}

/// The shape and the kind of what the model takes, besides the mask.
fn input(model: &Model) -> Result<(Vec<usize>, Takes)> {
    let graph = &model.proto().graph;
    let is_constant = |name: &str| graph.initializer.iter().any(|tensor| tensor.name == name);
    let mut names = graph.input.iter().map(|input| input.name.as_str());
    let (shape, element_type) = shape(model, names.find(|name| *name != MASK_INPUT && !is_constant(name)))?;
    let takes = if matches!(element_type, UINT8 | INT8) { Takes::Bytes } else { Takes::Floats };
    Ok((shape, takes))
}

/// The shape of what the model gives first.
fn shape_of_output(model: &Model) -> Result<Vec<usize>> {
    Ok(shape(model, model.proto().graph.output.first().map(|output| output.name.as_str()))?.0)
}

/// The shape and the element type of the value `name`.
fn shape(model: &Model, name: Option<&str>) -> Result<(Vec<usize>, i32)> {
    let name = name.context("the model has no input or no output")?;
    let types = infer_shapes(model)?;
    let shape = types.get(name).and_then(|ty| Some((ty.static_shape()?, ty.element_type)));
    shape.with_context(|| format!("the shape of `{name}` is not known"))
}

/// The names in `path`, which are as many as there are `classes`.
fn class_names(path: &Path, classes: usize) -> Result<Vec<String>> {
    let text = read_text(path)?;
    let lines = text.trim_start_matches('\u{feff}').trim_end().lines();
    let names: Vec<_> = lines.map(|line| line.trim().to_owned()).collect();
    if let Some(line) = names.iter().position(String::is_empty) {
        bail!("{}: line {} is empty, where the name of class {line} should be", path.display(), line + 1);
    }
    ensure!(
        names.len() == classes,
        "{} has {} names, the network has {classes} classes",
        path.display(),
        names.len()
    );
    Ok(names)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use fs_err as fs;

    use super::*;
    use crate::cli::{Cli, Command};

    const INPUT: [usize; 4] = [1, 3, 224, 224];

    /// The options in a command line of `compile`.
    fn options(arguments: &str) -> ImageOptions {
        let line = format!("skipgate compile model.onnx -o artifact {arguments}");
        match Cli::try_parse_from(line.split_whitespace()).unwrap().command {
            Command::Compile(compile) => compile.images,
            other => panic!("{other:?}"),
        }
    }

    fn preprocessing(arguments: &str, shape: &[usize]) -> Result<Preprocessing, String> {
        let found =
            options(arguments).preprocessing(None, shape, Takes::Floats).map_err(|error| error.to_string());
        found.map(Option::unwrap)
    }

    #[test]
    fn a_preset_is_all_that_a_usual_network_needs() {
        let found = preprocessing("--preset imagenet", &INPUT).unwrap();
        assert_eq!(found.mean, [0.485, 0.456, 0.406]);
        assert_eq!((found.color, found.layout), (ColorMode::Rgb, Layout::Nchw));
        assert_eq!((found.resize, found.interpolation), (Resize::ShorterSide(256), Interpolation::Bilinear));
        let found = preprocessing("--preset inception --interpolation bicubic --resize 248", &INPUT).unwrap();
        assert_eq!((found.mean, found.std), (vec![0.5; 3], vec![0.5; 3]));
        assert_eq!((found.resize, found.interpolation), (Resize::ShorterSide(248), Interpolation::Bicubic));
        assert_eq!(
            preprocessing("--preset imagenet", &[1, 299, 299, 3]).unwrap().resize,
            Resize::ShorterSide(341)
        );
    }

    #[test]
    fn an_input_of_bytes_takes_them_as_they_are() {
        let of_bytes = |arguments| options(arguments).preprocessing(None, &[1, 32, 32, 3], Takes::Bytes);
        let found = of_bytes("--resize stretch").unwrap().unwrap();
        assert_eq!((found.layout, found.resize), (Layout::Nhwc, Resize::Stretch));
        assert_eq!((found.mean, found.std), (vec![0.0; 3], vec![1.0 / 255.0; 3]));
        assert_eq!(of_bytes("--scale 255 --mean 0 --std 1").unwrap().unwrap().std, [1.0 / 255.0; 3]);
        for wrong in ["--mean 0 --std 1", "--preset imagenet"] {
            let error = of_bytes(wrong).unwrap_err().to_string();
            assert!(error.starts_with("the input takes bytes"), "{error}");
        }
    }

    #[test]
    fn options_say_what_torchvision_says() {
        let found =
            preprocessing("--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 --resize 256 --crop 224", &INPUT);
        assert_eq!(found.unwrap(), preprocessing("--preset imagenet", &INPUT).unwrap());
        let one = preprocessing("--mean 0 --std 1 --resize stretch", &[1, 28, 28, 1]).unwrap();
        assert_eq!((one.color, one.layout), (ColorMode::Gray, Layout::Nhwc));
        assert_eq!((one.mean, one.std, one.resize), (vec![0.0], vec![1.0], Resize::Stretch));
    }

    #[test]
    fn values_up_to_255_need_their_scale() {
        let error = preprocessing("--mean 123.675,116.28,103.53 --std 58.4,57.12,57.4", &INPUT).unwrap_err();
        assert_eq!(
            error,
            "--mean has 123.675, where channels have values from 0 to 1; add --scale 255 if theirs are from 0 to 255"
        );
        let caffe = preprocessing("--colour bgr --scale 255 --mean 104,117,124 --std 1", &INPUT).unwrap();
        assert_eq!(caffe.color, ColorMode::Bgr);
        assert_eq!(caffe.mean, [104.0, 117.0, 124.0].map(|mean: f32| mean / 255.0));
        assert_eq!(caffe.std, [1.0 / 255.0; 3]);
        let half = preprocessing("--scale 255 --mean 127.5 --std 127.5", &INPUT).unwrap();
        assert_eq!((half.mean, half.std), (vec![0.5; 3], vec![0.5; 3]));
    }

    #[test]
    fn a_mean_goes_where_its_channel_goes() {
        let found = preprocessing("--preset imagenet --colour bgr", &INPUT).unwrap();
        assert_eq!(found.mean, [0.406, 0.456, 0.485]);
        let own = options("--color rgb").preprocessing(Some(found), &INPUT, Takes::Floats).unwrap().unwrap();
        assert_eq!(own.mean, [0.485, 0.456, 0.406]);
    }

    #[test]
    fn options_win_over_what_the_model_says_and_leave_the_rest() {
        let own = preprocessing("--preset imagenet", &INPUT).unwrap();
        let found =
            options("--std 0.5").preprocessing(Some(own.clone()), &INPUT, Takes::Floats).unwrap().unwrap();
        assert_eq!(found, Preprocessing { std: vec![0.5; 3], ..own.clone() });
        let kept =
            options("--classes names.txt").preprocessing(Some(own.clone()), &INPUT, Takes::Floats).unwrap();
        assert_eq!(kept, Some(own));
        assert_eq!(options("").preprocessing(None, &INPUT, Takes::Floats).unwrap(), None);
    }

    #[test]
    fn what_does_not_fit_is_an_error_that_says_both_sides() {
        for (arguments, expected) in [
            ("--resize 256", "--mean is missing, and neither the model nor a --preset says it"),
            ("--mean 0", "--std is missing"),
            ("--mean 0,0 --std 1", "--mean has 2 values, the input has 3 channels (rgb)"),
            ("--mean 0 --std 1 --crop 224", "--crop needs a --resize"),
            ("--mean 0 --std 1 --resize 256 --crop 192", "--crop is 192x192, the input is 224x224"),
            ("--mean 0 --std 1 --resize 200", "after resizing to 200 there is no image of 224x224"),
            ("--mean 0 --std 0", "the deviations [0.0, 0.0, 0.0], which must be positive"),
            ("--preset imagenet --colour gray", "for 1 channels (gray) in nchw does not fit"),
            ("--preset imagenet --layout nhwc", "for 3 channels (rgb) in nhwc does not fit"),
        ] {
            let error = preprocessing(arguments, &INPUT).unwrap_err();
            assert!(error.contains(expected), "{arguments}: {error}");
        }
        assert!(
            preprocessing("--preset imagenet", &[1, 10])
                .unwrap_err()
                .contains("does not fit an input of shape [1, 10]")
        );
    }

    #[test]
    fn class_names_are_lines_of_a_file_and_as_many_as_classes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let read = |text: &str| {
            fs::write(file.path(), text).unwrap();
            class_names(file.path(), 2).map_err(|error| error.to_string())
        };
        assert_eq!(read("tench, Tinca tinca\r\ngoldfish\n\n").unwrap(), ["tench, Tinca tinca", "goldfish"]);
        assert!(read("tench\n").unwrap_err().ends_with("has 1 names, the network has 2 classes"));
        assert!(
            read("tench\n\ngoldfish")
                .unwrap_err()
                .ends_with("line 2 is empty, where the name of class 1 should be")
        );
    }
}
