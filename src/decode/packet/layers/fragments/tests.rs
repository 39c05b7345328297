use super::*;
use proptest::prelude::*;

fn key(identification: u32) -> DatagramKey {
    DatagramKey {
        source: Address::v4([10, 0, 0, 1]),
        destination: Address::v4([10, 0, 0, 2]),
        identification,
        protocol: 17,
        interface: 0,
    }
}

fn piece(offset_bytes: u32, more: bool) -> Piece {
    Piece {
        protocol: 17,
        offset_bytes,
        more,
    }
}

#[derive(Default)]
struct Adding {
    table: FragmentTable,
    summary: FragmentSummary,
}

impl Adding {
    fn add(&mut self, identification: u32, offset: u32, more: bool, bytes: &[u8], time_s: i64) -> Added {
        let time = Some(Timestamp::from_secs(time_s));
        self.table.add(
            key(identification),
            piece(offset, more),
            bytes,
            time,
            &mut self.summary,
        )
    }
}

fn whole(bytes: &[u8]) -> Added {
    Added::Whole {
        protocol: 17,
        bytes: bytes.to_vec(),
    }
}

#[test]
fn of_overlapping_bytes_the_first_stay() {
    let mut adding = Adding::default();
    assert_eq!(adding.add(1, 8, true, b"BBBBBBBB", 0), Added::Waiting);
    assert_eq!(adding.add(1, 24, false, b"DDDD", 0), Added::Waiting);
    assert_eq!(adding.add(1, 0, true, b"aaaaaaaabbbbbbbb", 0), Added::Waiting);
    assert_eq!(
        adding.add(1, 8, true, b"xxxxxxxxCCCCCCCC", 0),
        whole(b"aaaaaaaaBBBBBBBBCCCCCCCCDDDD")
    );
    assert_eq!(adding.summary.overlapping_bytes, 16);
    assert_eq!(adding.table.incomplete(), 0);
    assert_eq!(adding.table.bytes, 0);
}

#[test]
fn contradictions_are_left_out() {
    let mut adding = Adding::default();
    assert_eq!(adding.add(1, 16, false, b"CC", 0), Added::Waiting);
    assert_eq!(
        adding.add(1, 24, true, b"DDDDDDDD", 0),
        Added::LeftOut,
        "beyond the end"
    );
    assert_eq!(adding.add(1, 8, false, b"BB", 0), Added::LeftOut, "another end");
    assert_eq!(
        adding.add(1, 0, true, b"AAAAAAA", 0),
        Added::LeftOut,
        "not in words of 8"
    );
    assert_eq!(adding.add(1, 0, true, b"", 0), Added::LeftOut, "empty");
    assert_eq!(
        adding.add(1, 65_528, true, &[0; 16], 0),
        Added::LeftOut,
        "longer than any datagram"
    );
    assert_eq!(
        adding.add(1, 0, true, b"AAAAAAAABBBBBBBB", 0),
        whole(b"AAAAAAAABBBBBBBBCC")
    );
    assert_eq!(adding.add(2, 16, true, b"CCCCCCCC", 0), Added::Waiting);
    assert_eq!(
        adding.add(2, 8, false, b"BB", 0),
        Added::LeftOut,
        "an end before what is there"
    );
}

#[test]
fn old_fragments_do_not_meet_new_ones() {
    let mut adding = Adding::default();
    assert_eq!(adding.add(1, 0, true, b"AAAAAAAA", 0), Added::Waiting);
    assert_eq!(adding.add(1, 8, false, b"BB", 31), Added::Waiting);
    assert_eq!(adding.add(1, 0, true, b"aaaaaaaa", 32), whole(b"aaaaaaaaBB"));
    assert_eq!(adding.table.incomplete(), 1);
}

#[test]
fn interfaces_are_kept_apart() {
    let mut adding = Adding::default();
    assert_eq!(adding.add(1, 0, true, b"AAAAAAAA", 0), Added::Waiting);
    let other = DatagramKey {
        interface: 1,
        ..key(1)
    };
    let added = adding
        .table
        .add(other, piece(8, false), b"BB", None, &mut adding.summary);
    assert_eq!(added, Added::Waiting);
    assert_eq!(adding.table.incomplete(), 2);
}

#[test]
fn limits() {
    let mut adding = Adding::default();
    for identification in 0..5_000 {
        adding.add(identification, 8, false, b"x", 0);
    }
    assert_eq!(adding.table.waiting.len(), MAX_FRAGMENTED);
    assert_eq!(adding.table.incomplete(), 5_000);
    assert_eq!(
        adding.add(0, 0, true, b"AAAAAAAA", 0),
        Added::Waiting,
        "the oldest gave way"
    );
    assert_eq!(adding.add(4_999, 0, true, b"AAAAAAAA", 0), whole(b"AAAAAAAAx"));
    // A byte at the end of the longest datagram asks for all of it.
    for identification in 10_000..11_000 {
        adding.add(identification, 65_528, false, b"x", 0);
    }
    assert!(adding.table.bytes <= MAX_FRAGMENT_BYTES);
    assert!(adding.table.waiting.len() < 70);
    // Datagrams that are completed leave nothing behind.
    for identification in 20_000..40_000 {
        adding.add(identification, 8, false, b"x", 0);
        adding.add(identification, 0, true, b"AAAAAAAA", 0);
    }
    assert!(adding.table.order.len() <= MAX_FRAGMENTED * 4 + 1);
    let mut pieces = Adding::default();
    let added: Vec<Added> = (0..100)
        .map(|number| pieces.add(1, number * 16, true, b"AAAAAAAA", 0))
        .collect();
    assert_eq!(
        added.iter().filter(|added| **added == Added::Waiting).count(),
        MAX_PIECES
    );
}

proptest! {
    /// Pieces that cover a datagram, in any order and with any overlap, make it whole exactly when nothing is missing.
    #[test]
    fn pieces_make_the_whole(
        words in prop::collection::vec((0..20_u32, 1..8_u32), 1..30),
        total_words in 1..20_u32,
    ) {
        let content: Vec<u8> = (0..total_words * 8).map(|at| u8::try_from(at).unwrap()).collect();
        let mut adding = Adding::default();
        let mut there = vec![false; content.len() / 8];
        for (start, length) in words {
            let (start, end) = (start.min(total_words - 1), (start + length).min(total_words));
            let start = start.min(end - 1);
            let bytes = &content[start as usize * 8..end as usize * 8];
            let added = adding.add(1, start * 8, end < total_words, bytes, 0);
            there[start as usize..end as usize].fill(true);
            if there.iter().all(|there| *there) {
                prop_assert_eq!(added, whole(&content));
                prop_assert_eq!(adding.table.bytes, 0);
                return Ok(());
            }
            prop_assert_eq!(added, Added::Waiting);
        }
    }
}
