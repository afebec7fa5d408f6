//! What can go wrong: at the start, and with a request.

use std::io;
use std::time::Duration;

use hyper::StatusCode;
use skipgate_core::TensorSpec;
use skipgate_runtime as runtime;

/// Why an endpoint could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nobody can listen at the address.
    #[error("cannot listen at {address}")]
    Listen {
        /// The address asked for.
        address: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// The threads of an endpoint could not be started.
    #[error("cannot start the threads of an endpoint")]
    Threads(#[source] io::Error),
    /// The name of a model cannot stand in a path.
    #[error(
        "`{found}` cannot be the name of a model: expected letters, digits, `.`, `_` and `-`, and another name than `.` and `..`"
    )]
    Name {
        /// The name asked for.
        found: String,
    },
}

/// Why an inference request has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The body is not JSON, or not the fields of the protocol.
    #[error("the body is no inference request: {0}")]
    Syntax(serde_json::Error),
    /// The body is compressed.
    #[error("a body that is compressed (Content-Encoding) is not read; send it as it is")]
    Encoding,
    /// The header that says where binary tensors begin is not a number within the body.
    #[error(
        "Inference-Header-Content-Length must be a number up to the body's length, {length}, found `{found}`"
    )]
    HeaderLength {
        /// What it says.
        found: String,
        /// Bytes of the body.
        length: usize,
    },
    /// An input has no data, or both kinds of it.
    #[error("input `{input}` needs either `data` or the parameter `binary_data_size`")]
    Data {
        /// Its name.
        input: String,
    },
    /// An input's data in JSON is not its elements.
    #[error("the data of input `{input}` cannot be used: {source}")]
    Elements {
        /// The input.
        input: TensorSpec,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// An input's binary data has another size than its elements.
    #[error("input `{input}` takes {expected} bytes of binary data, found {found}")]
    BinarySize {
        /// The input.
        input: TensorSpec,
        /// Bytes of its elements.
        expected: usize,
        /// What is said, or what is there.
        found: usize,
    },
    /// A byte of a truth value is neither 0 nor 1.
    #[error("input `{input}` holds the byte {found}; BOOL is 0 or 1")]
    Truth {
        /// The input.
        input: TensorSpec,
        /// The byte.
        found: u8,
    },
    /// There are more bytes than those of the inputs.
    #[error("{found} bytes follow the binary data of the last input")]
    Rest {
        /// How many.
        found: usize,
    },
    /// Not every input is given once.
    #[error("the network takes the inputs {expected}, found {found}")]
    Inputs {
        /// The names of all inputs.
        expected: String,
        /// The names given.
        found: String,
    },
    /// An input is given with another type or shape.
    #[error("input `{input}` is {expected}, found {found}")]
    Tensor {
        /// Its name.
        input: String,
        /// Its datatype and shape.
        expected: String,
        /// Those given.
        found: String,
    },
    /// An output is asked for that does not exist, or twice.
    #[error("the network has the outputs {expected}, each of which can be asked for once, found {found}")]
    Outputs {
        /// The names of all outputs.
        expected: String,
        /// The names asked for.
        found: String,
    },
    /// More than one of what can choose the blocks that run.
    #[error("the parameters `config` and `mask` exclude each other")]
    Choice,
    /// The deadline is no time.
    #[error(
        "the parameter `deadline_ms` must be a number of milliseconds above 0 and up to {most}, found {found}"
    )]
    Deadline {
        /// What was given.
        found: f64,
        /// The longest that is possible.
        most: f64,
    },
    /// An output holds what JSON cannot say.
    #[error(
        "output `{output}` holds {found} at place {place}, which JSON cannot say; ask for it as binary data"
    )]
    NotFinite {
        /// Its name.
        output: String,
        /// The element.
        found: f64,
        /// Its number in row-major order.
        place: usize,
    },
    /// The network was not run, or not to the end; never [`runtime::Error::ServerStopped`].
    #[error(transparent)]
    Run(runtime::Error),
    /// All sessions are busy, and as many requests wait as may.
    #[error("{waiting} requests are being processed or wait, which is as many as may; try again later")]
    Full {
        /// How many.
        waiting: usize,
    },
    /// The controller dropped the request.
    #[error("the device is too busy to answer in time; try again later")]
    Dropped,
    /// The answer came after the request's deadline.
    #[error("the answer came after {took:?}, its deadline was {deadline:?}")]
    Late {
        /// From arrival to answer.
        took: Duration,
        /// What was allowed.
        deadline: Duration,
    },
    /// The session that had the request ended.
    #[error("the session that had the request ended before it answered")]
    Stopped,
}

impl From<runtime::Error> for Refusal {
    fn from(error: runtime::Error) -> Self {
        match error {
            runtime::Error::ServerStopped => Self::Stopped,
            other => Self::Run(other),
        }
    }
}

impl Refusal {
    /// Whose fault it is, as HTTP says it.
    pub fn status(&self) -> StatusCode {
        use runtime::Error::{Index, Input, Inputs, Mask, NoConfiguration, TooLate};
        match self {
            Self::Run(Index { .. } | Input { .. } | Inputs { .. } | Mask(_) | NoConfiguration { .. }) => {
                StatusCode::BAD_REQUEST
            }
            Self::Encoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Run(TooLate { .. }) | Self::Late { .. } => StatusCode::GATEWAY_TIMEOUT,
            Self::Run(_) | Self::Stopped => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Full { .. } | Self::Dropped => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}
