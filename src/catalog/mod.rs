//! The catalogue: signatures, causes, response flags and thresholds as data.
