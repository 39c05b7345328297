//! What a run found, as plain data ([`model`]), made from the engine's results ([`build`]), and the renderers
//! that read the model and nothing else.

pub mod batch;
pub mod build;
pub mod compare;
pub mod escape;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod html;
pub mod json;
pub mod markdown;
pub mod model;
pub mod privacy;
pub mod rows;
pub mod schema;
pub mod text;
