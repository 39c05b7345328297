//! A block to records that borrow from it. No input or output, no state between blocks.
//!
//! In: lines. Out: [`log::Line`]. Never: allocates per record (but for text that must be unescaped, into a
//! buffer that is reused), trusts a length, or decides what a record means for the verdict.

pub mod log;
