//! Tests of the matcher over the whole catalogue.

use super::*;
use crate::catalog::Catalog;

#[test]
fn every_example_holds() {
    let catalog = Catalog::built_in().unwrap();
    let failures: Vec<_> = test_catalog(&catalog)
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(
        failures.is_empty(),
        "{} failures\n{}",
        failures.len(),
        failures.join("\n")
    );
}
