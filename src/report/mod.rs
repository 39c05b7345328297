//! What a run found, as plain data ([`model`]), and the renderers that read it and nothing else:
//! [`text`] for people, [`json`] for programs, [`schema`] for those who write such programs.

pub mod escape;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod json;
pub mod model;
pub mod schema;
pub mod text;
