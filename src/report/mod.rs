//! What a run found, as plain data ([`model`]), made from the engine's results ([`build`]), and the renderers
//! that read the model and nothing else.

pub mod build;
pub mod model;
