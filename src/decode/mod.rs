//! A block to records that borrow from it. No input or output, no state between blocks.
//!
//! In: lines, or the bytes of a capture. Out: [`log::Line`], [`packet::Packet`], [`output::Fact`]. Never: allocates per record (but for text that must be unescaped, into a
//! buffer that is reused), trusts a length, or decides what a record means for the verdict.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

pub mod document;
pub mod log;
pub mod output;
pub mod packet;
