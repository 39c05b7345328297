use super::*;
use flate2::Crc;
use flate2::write::{DeflateEncoder, GzEncoder};
use proptest::prelude::*;
use std::io::Write as _;

/// What a tar header says beside its name.
fn header(name: &[u8], size: u64, flag: u8) -> Vec<u8> {
    let mut header = vec![0; 512];
    let name = &name[..name.len().min(100)];
    header[..name.len()].copy_from_slice(name);
    header[100..107].copy_from_slice(b"0000644");
    header[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    header[156] = flag;
    header[257..265].copy_from_slice(b"ustar\x0000");
    header[148..156].copy_from_slice(b"        ");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    header
}

fn add(tar: &mut Vec<u8>, name: &[u8], flag: u8, body: &[u8]) {
    tar.extend(header(name, body.len() as u64, flag));
    tar.extend_from_slice(body);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, body) in files {
        add(&mut bytes, name.as_bytes(), b'0', body);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zip(files: &[(&str, &[u8])], deflate: bool) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, body) in files {
        let mut crc = Crc::new();
        crc.update(body);
        let stored = if deflate {
            let mut encoder = DeflateEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(body).unwrap();
            encoder.finish().unwrap()
        } else {
            body.to_vec()
        };
        let mut common = Vec::new();
        for field in [20, 0, if deflate { 8 } else { 0 }, 0, 0] {
            common.extend(u16::to_le_bytes(field));
        }
        for field in [
            crc.sum(),
            u32::try_from(stored.len()).unwrap(),
            u32::try_from(body.len()).unwrap(),
        ] {
            common.extend(field.to_le_bytes());
        }
        common.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        common.extend([0, 0]);
        directory.extend(b"PK\x01\x02\x14\x03");
        directory.extend(&common);
        // Comment, disk, internal attributes; then those of the file.
        directory.extend([0; 6]);
        directory.extend((0o100_644_u32 << 16).to_le_bytes());
        directory.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
        directory.extend(name.as_bytes());
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&common);
        bytes.extend(name.as_bytes());
        bytes.extend(stored);
    }
    let start = u32::try_from(bytes.len()).unwrap();
    let count = u16::try_from(files.len()).unwrap();
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend(count.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend(u32::try_from(directory.len()).unwrap().to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

fn small_limits() -> ArchiveLimits {
    ArchiveLimits {
        free_bytes: 1 << 20,
        size_bytes: 64 << 20,
        ..ArchiveLimits::default()
    }
}

fn listed(bytes: &[u8], held_bytes: u64) -> Option<Listing> {
    list_store(
        &Store::of_memory(bytes.to_vec()),
        &Budget::new(small_limits(), held_bytes),
    )
}

fn bytes_of(found: &Found) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Damage ends what can be read.
    let _ = found.content.open().unwrap().read_to_end(&mut bytes);
    bytes
}

/// Names and bytes of the members, in the order of the archive.
fn members(bytes: &[u8], held_bytes: u64) -> Vec<(String, Vec<u8>)> {
    let listing = listed(bytes, held_bytes).unwrap();
    assert_eq!(listing.problems, [], "undamaged");
    listing
        .found
        .iter()
        .map(|found| {
            let bytes = bytes_of(found);
            assert_eq!(bytes.len() as u64, found.size_bytes);
            (shown_path(&found.path), bytes)
        })
        .collect()
}

const FILES: [(&str, &[u8]); 3] = [
    ("bug-report/versions", b"one line\n"),
    (
        "bug-report/proxies/shop/reviews-v1/istio-proxy.log",
        &[b'x'; 1500],
    ),
    ("bug-report/empty", b""),
];

fn expected(prefix: &str) -> Vec<(String, Vec<u8>)> {
    FILES
        .iter()
        .map(|(name, body)| (format!("{prefix}{name}"), body.to_vec()))
        .collect()
}

#[test]
fn every_kind_gives_the_same_members() {
    let plain = tar(&FILES);
    for (name, archive) in [
        ("tar", plain.clone()),
        ("tar.gz", gzip(&plain)),
        ("tar.zst", zstd::encode_all(plain.as_slice(), 1).unwrap()),
        ("zip", zip(&FILES, false)),
        ("zip, deflated", zip(&FILES, true)),
        ("zip.gz", gzip(&zip(&FILES, true))),
    ] {
        assert_eq!(members(&archive, HELD_BYTES), expected(""), "{name}");
    }
}

#[test]
fn blocks_of_zstandard_longer_than_the_head() {
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_le_bytes()[3]
    })
    .take(100_000)
    .collect();
    let files = [("a", noise.as_slice())];
    let packed = zstd::encode_all(tar(&files).as_slice(), 3).unwrap();
    assert_eq!(members(&packed, HELD_BYTES), [("a".to_owned(), noise.clone())]);
    let nested = tar(&[("in.tar.zst", &packed)]);
    assert_eq!(members(&nested, HELD_BYTES), [("in.tar.zst!a".to_owned(), noise)]);
}

#[test]
fn what_is_not_held_is_read_in_order_and_again_from_the_start() {
    let archive = gzip(&tar(&FILES));
    let listing = listed(&archive, 0).unwrap();
    assert!(listing.found.iter().all(|found| found.content.is_streamed()));
    for order in [[0, 1, 2], [2, 1, 0], [1, 1, 0]] {
        for index in order {
            assert_eq!(bytes_of(&listing.found[index]), FILES[index].1, "{order:?}");
        }
    }
}

#[test]
fn archives_within_archives() {
    let inner = gzip(&tar(&FILES));
    let in_zip = zip(&[("b.tgz", &inner)], true);
    let nested = tar(&[("a/inner.zip", &in_zip), ("last", b"x")]);
    for archive in [nested.clone(), gzip(&nested)] {
        let mut wanted = expected("a/inner.zip!b.tgz!");
        wanted.push(("last".to_owned(), b"x".to_vec()));
        assert_eq!(members(&archive, HELD_BYTES), wanted);
    }
    let none_held = listed(&gzip(&nested), 0).unwrap();
    assert_eq!(none_held.found.len(), 1);
    assert!(
        none_held.problems[0].1.contains("a/inner.zip: "),
        "{:?}",
        none_held.problems
    );
}

#[test]
fn archives_within_archives_end_somewhere() {
    let mut archive = tar(&FILES);
    for _ in 0..10 {
        archive = gzip(&tar(&[("deeper.tgz", &archive)]));
    }
    let listing = listed(&archive, HELD_BYTES).unwrap();
    assert!(listing.found.is_empty());
    assert!(
        listing.problems[0].1.contains("deeper than 4"),
        "{:?}",
        listing.problems
    );
}

#[test]
fn bombs_are_stopped_and_what_came_before_is_used() {
    let zeros = vec![0; 40 << 20];
    let bomb = gzip(&tar(&[
        ("a.log", b"row\n"),
        ("zeros", &zeros),
        ("b.log", b"row\n"),
    ]));
    let listing = listed(&bomb, HELD_BYTES).unwrap();
    assert_eq!(bytes_of(&listing.found[0]), b"row\n");
    assert!(
        listing.found.iter().map(bytes_of).map(|b| b.len()).sum::<usize>() < 32 << 20,
        "stopped early"
    );
    assert!(
        listing.problems.iter().any(|(_, what)| what.contains("stopped")),
        "{:?}",
        listing.problems
    );

    let zip_bomb = zip(&[("a.log", b"row\n"), ("zeros", &zeros)], true);
    let listing = listed(&zip_bomb, HELD_BYTES).unwrap();
    assert_eq!(listing.found.len(), 1);
    assert!(
        listing.problems[0].1.contains("grow beyond any log"),
        "{:?}",
        listing.problems
    );
}

#[test]
fn members_are_bounded() {
    let body: &[u8] = b"";
    let archive = tar(&[("x", body); 30]);
    let limits = ArchiveLimits {
        members: 20,
        ..small_limits()
    };
    for bytes in [archive.clone(), gzip(&archive), zip(&[("x", body); 30], false)] {
        let listing = list_store(&Store::of_memory(bytes), &Budget::new(limits, HELD_BYTES)).unwrap();
        assert_eq!(listing.found.len(), 20);
        assert!(
            listing.problems[0].1.contains("more members"),
            "{:?}",
            listing.problems
        );
    }
}

#[test]
fn links_devices_and_hidden_files_are_counted() {
    let mut archive = Vec::new();
    for flag in *b"123456" {
        add(&mut archive, b"etc/passwd", flag, b"");
    }
    add(&mut archive, b"a/.git/config", b'0', b"hidden");
    add(&mut archive, b"./._x.log", b'0', b"hidden");
    add(&mut archive, b"./../x.log", b'0', b"seen");
    archive.resize(archive.len() + 1024, 0);
    let listing = listed(&archive, HELD_BYTES).unwrap();
    assert_eq!(listing.found.len(), 1);
    assert_eq!(listing.hidden, 2);
    assert!(
        listing.problems[0].1.starts_with("5 links"),
        "{:?}",
        listing.problems
    );
}

#[test]
fn long_names() {
    let long = format!("bug-report/{}/istio-proxy.log", "n".repeat(150));
    let mut gnu = Vec::new();
    add(&mut gnu, b"././@LongLink", b'L', format!("{long}\0").as_bytes());
    add(&mut gnu, &long.as_bytes()[..100], b'0', b"row");
    let mut pax = Vec::new();
    let record = format!(" path={long}\n");
    let length = record.len() + 3;
    add(
        &mut pax,
        b"PaxHeaders/x",
        b'x',
        format!("{length}{record}").as_bytes(),
    );
    add(&mut pax, b"short", b'0', b"row");
    for mut archive in [gnu, pax] {
        archive.resize(archive.len() + 1024, 0);
        assert_eq!(members(&archive, HELD_BYTES), [(long.clone(), b"row".to_vec())]);
    }
}

#[test]
fn a_wrong_checksum_in_a_zip_is_told_after_its_bytes() {
    let mut archive = zip(&[("a.log", b"some rows")], false);
    let mut deflated = zip(&[("a.log", b"some rows")], true);
    // The stored CRC of the directory.
    let at = memchr::memmem::find(&deflated, b"PK\x01\x02").unwrap() + 16;
    deflated[at] ^= 1;
    let listing = listed(&deflated, HELD_BYTES).unwrap();
    let mut bytes = Vec::new();
    let error = listing.found[0]
        .content
        .open()
        .unwrap()
        .read_to_end(&mut bytes)
        .unwrap_err();
    assert_eq!(
        (bytes.as_slice(), error.to_string().as_str()),
        (&b"some rows"[..], "the checksum of the member is wrong")
    );
    archive.truncate(archive.len() - 30);
    let listing = listed(&archive, HELD_BYTES).unwrap();
    assert_eq!(bytes_of(&listing.found[0]), b"some rows");
    assert!(
        listing.problems[0].1.contains("directory at its end is missing"),
        "{:?}",
        listing.problems
    );
}

#[test]
fn damage_names_the_member_and_the_place() {
    let plain = tar(&FILES);
    // In the middle of the second member.
    let cut = listed(&plain[..2000], HELD_BYTES).unwrap();
    let texts: Vec<&str> = cut.problems.iter().map(|(_, what)| what.as_str()).collect();
    assert!(
        texts
            .iter()
            .any(|text| text.contains("istio-proxy.log") && text.contains("464 of its 1500")),
        "{texts:?}"
    );
    assert!(
        texts.iter().any(|text| text.contains("cut off at byte 2000")),
        "{texts:?}"
    );
    assert_eq!(bytes_of(&cut.found[1]), [b'x'; 464]);
    let mut damaged = plain.clone();
    damaged[1024 + 5] ^= 0xff;
    let listing = listed(&damaged, HELD_BYTES).unwrap();
    assert_eq!(listing.found.len(), 1);
    assert_eq!(listing.problems[0].0, 1024);
}

/// Whatever was found is the beginning of what was put in.
fn is_prefix(listing: &Listing) {
    for (found, (name, body)) in listing.found.iter().zip(FILES) {
        assert_eq!(shown_path(&found.path), name);
        assert!(body.starts_with(&bytes_of(found)), "{name}");
    }
    assert!(listing.found.len() <= FILES.len());
}

#[test]
fn cut_anywhere() {
    for bytes in [
        tar(&FILES),
        gzip(&tar(&FILES)),
        zip(&FILES, false),
        zip(&FILES, true),
    ] {
        let mut most = 0;
        for end in 0..bytes.len() {
            if let Some(listing) = listed(&bytes[..end], HELD_BYTES) {
                is_prefix(&listing);
                most = most.max(listing.found.len());
                assert_eq!(
                    listed(&bytes[..end], 0).map(|other| other.problems),
                    Some(listing.problems),
                    "whether it is held changes nothing"
                );
            }
        }
        assert_eq!(most, FILES.len());
    }
}

proptest! {
    #[test]
    fn any_byte_may_be_wrong(kind in 0..5_usize, at in any::<prop::sample::Index>(), byte in any::<u8>(), held in any::<bool>()) {
        let inner = tar(&FILES);
        let mut bytes = match kind {
            0 => inner,
            1 => gzip(&inner),
            2 => zip(&FILES, false),
            3 => zip(&FILES, true),
            _ => gzip(&zip(&[("inner.tgz", &gzip(&inner))], true)),
        };
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Some(listing) = listed(&bytes, if held { HELD_BYTES } else { 0 }) {
            for found in &listing.found {
                prop_assert!(bytes_of(found).len() as u64 <= 64 << 20);
            }
        }
    }

    #[test]
    fn any_bytes(mut bytes in prop::collection::vec(any::<u8>(), 0..4096), kind in 0..3) {
        match kind {
            0 if bytes.len() > 600 => bytes[..512].copy_from_slice(&header(b"x", 100, b'x')),
            1 => bytes.splice(0..0, *b"PK\x03\x04").for_each(drop),
            _ => {}
        }
        if let Some(listing) = listed(&bytes, HELD_BYTES) {
            listing.found.iter().map(bytes_of).for_each(drop);
        }
    }
}
