//! What must not leave with a report: [`texts`] visits every text of a document, [`secrets`] masks values in them.

pub mod secrets;
pub mod texts;
