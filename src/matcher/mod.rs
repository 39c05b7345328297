//! Bytes to signature hits: one Aho–Corasick pass over the text in which a signature can occur, each hit
//! confirmed by the conditions of its catalogue entry.
//!
//! In: text and where it stood. Out: numbers of signatures. Never: counts or keeps anything.
