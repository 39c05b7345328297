//! What must not leave with a report: [`texts`] visits every text of a document, [`secrets`] masks values in them,
//! [`pseudonyms`] puts other names in place of real ones.

pub mod pseudonyms;
pub mod secrets;
pub mod texts;
