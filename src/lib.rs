//! postmesh: offline post-mortem of service-mesh incidents.
//!
//! The layout shows the pipeline, and imports point one way along it:
//! [`input`] → [`decode`] → [`streams`] → [`matcher`] → [`aggregate`] → [`correlate`] → [`diagnose`] → [`report`] → [`cli`], with
//! [`units`], [`error`], [`options`] and [`catalog`] below all of them and [`pipeline`] holding every
//! thread and channel. The engine never prints, reads the clock or ends the process.
//!
//! [`analyze`] is the whole of it: options in, report model out.

pub mod aggregate;
pub mod catalog;
pub mod cli;
pub mod correlate;
pub mod decode;
pub mod diagnose;
pub mod error;
pub mod follow;
pub mod input;
pub mod matcher;
pub mod options;
pub mod pipeline;
pub mod progress;
pub mod query;
pub mod redact;
pub mod report;
pub mod streams;
pub mod units;

pub use error::Error;
pub use options::Options;
pub use pipeline::analyze;
pub use report::model::Report;
