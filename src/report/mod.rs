//! What a run found, as plain data ([`model`]), and the renderers that read it and nothing else.

pub mod model;
