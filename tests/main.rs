//! The tests of the whole tool, one program so that they link once. Tests of a part stand beside that part.

#![cfg(test)]

/// The built program and its streams: what needs no engine.
mod command_line;
