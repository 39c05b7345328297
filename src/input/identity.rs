//! What a path says of the container that wrote the file.

use super::Identity;
use std::path::Path;

pub(super) fn identify(path: &Path, shown: usize) -> Identity {
    let _ = (path, shown);
    Identity::default()
}
