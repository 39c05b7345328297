//! Folders as they are found on disks after an incident.

use super::{Discovery, discover};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder with files at `paths`, each holding its own path.
fn tree(paths: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for path in paths {
        let file = folder.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, path).unwrap();
    }
    folder
}

fn find(folder: &TempDir, arguments: &[&str]) -> Discovery {
    let paths: Vec<PathBuf> = arguments
        .iter()
        .map(|argument| folder.path().join(argument))
        .collect();
    discover(&paths)
}

fn shown(discovery: &Discovery) -> Vec<&str> {
    discovery
        .sources
        .iter()
        .map(|source| source.display_path.as_str())
        .collect()
}

fn refused(discovery: &Discovery) -> Vec<(&str, &str)> {
    discovery
        .unreadable
        .iter()
        .map(|unreadable| (unreadable.display_path.as_str(), unreadable.what.as_str()))
        .collect()
}

#[test]
fn folders_are_read_whole_and_in_order() {
    let folder = tree(&["b/x.log", "a/c/x.log", "a.log", "a/b.log", "B.log", "a-1.log"]);
    let discovery = find(&folder, &[""]);
    assert_eq!(
        shown(&discovery),
        ["B.log", "a-1.log", "a.log", "a/b.log", "a/c/x.log", "b/x.log"]
    );
    for (place, source) in discovery.sources.iter().enumerate() {
        assert_eq!(source.id.0 as usize, place);
        assert_eq!(
            fs::read_to_string(&source.open_path).unwrap(),
            source.display_path
        );
        assert_eq!(source.size_bytes, Some(source.display_path.len() as u64));
    }
    assert!(discovery.unreadable.is_empty());
}

#[test]
fn the_order_of_arguments_does_not_matter() {
    let folder = tree(&["a/x.log", "a/y.log", "b/x.log", "c.log", "d/c.log", "a/in/z.log"]);
    let mut arguments = ["a", "b", "c.log", "d", "a/in", "a/x.log", "gone"];
    let expected = format!("{:?}", find(&folder, &arguments));
    for _ in 0..arguments.len() {
        arguments.rotate_left(1);
        assert_eq!(format!("{:?}", find(&folder, &arguments)), expected);
    }
    arguments.reverse();
    assert_eq!(format!("{:?}", find(&folder, &arguments)), expected);
}

#[test]
fn a_file_is_read_once() {
    let folder = tree(&["a/x.log", "a/b/y.log"]);
    let discovery = find(
        &folder,
        &["a", "a/", "a/b", "a/./x.log", "a/x.log", "a/b/../x.log"],
    );
    assert_eq!(shown(&discovery), ["b/y.log", "x.log"]);
}

#[test]
fn names_from_several_arguments_stay_apart() {
    let folder = tree(&[
        "reviews-v1/istio-proxy.log",
        "ratings-v1/istio-proxy.log",
        "ratings-v1/other.log",
    ]);
    let files = find(
        &folder,
        &["reviews-v1/istio-proxy.log", "ratings-v1/istio-proxy.log"],
    );
    assert_eq!(
        shown(&files),
        ["ratings-v1/istio-proxy.log", "reviews-v1/istio-proxy.log"]
    );
    let folders = find(&folder, &["reviews-v1", "ratings-v1"]);
    let expected = [
        "ratings-v1/istio-proxy.log",
        "ratings-v1/other.log",
        "reviews-v1/istio-proxy.log",
    ];
    assert_eq!(shown(&folders), expected);
    assert_eq!(folders.sources[2].identity.pod.as_deref(), Some("reviews-v1"));
    assert_eq!(
        shown(&find(&folder, &["ratings-v1"])),
        ["istio-proxy.log", "other.log"]
    );
}

#[test]
fn identity_comes_from_the_path() {
    let folder = tree(&[
        "prod/reviews-v1/istio-proxy.log.1",
        "ratings-v1.istio-proxy.log.gz",
    ]);
    let discovery = find(&folder, &[""]);
    let [first, second] = &discovery.sources[..] else {
        panic!("{discovery:?}")
    };
    assert_eq!(first.identity.namespace.as_deref(), Some("prod"));
    assert_eq!(first.identity.pod.as_deref(), Some("reviews-v1"));
    assert_eq!(second.identity.pod.as_deref(), Some("ratings-v1"));
    assert_eq!(second.identity.container.as_deref(), Some("istio-proxy"));
}

#[test]
fn what_is_not_there() {
    let folder = tree(&["x.log"]);
    let discovery = find(&folder, &["gone.log", "x.log", "x.log/y"]);
    assert_eq!(shown(&discovery), ["x.log"]);
    let [(first, why), (second, _)] = refused(&discovery)[..] else {
        panic!("{discovery:?}")
    };
    assert_eq!((first, second), ("gone.log", "y"));
    assert!(why.contains("check the path"), "{why}");
}

#[test]
fn names_with_a_dot_are_left_out_unless_given() {
    let folder = tree(&[".git/config", ".hidden.log", "x.log", "a/.DS_Store"]);
    let discovery = find(&folder, &[""]);
    assert_eq!((shown(&discovery), discovery.hidden), (vec!["x.log"], 3));
    assert_eq!(shown(&find(&folder, &[".hidden.log"])), [".hidden.log"]);
    assert_eq!(shown(&find(&folder, &[".git"])), ["config"]);
}

#[test]
fn standard_input() {
    let folder = tree(&["-"]);
    let discovery = discover(&["-".into(), folder.path().join("-"), "-".into()]);
    let [source, file] = &discovery.sources[..] else {
        panic!("{discovery:?}")
    };
    assert_eq!(source.display_path, "-");
    assert!(file.display_path.ends_with("/-"), "{}", file.display_path);
    assert_eq!(
        (source.open_path.as_path(), source.size_bytes),
        (Path::new("-"), None)
    );
}

#[test]
fn no_paths_and_empty_folders() {
    assert!(discover(&[]).sources.is_empty());
    let folder = tempfile::tempdir().unwrap();
    let discovery = find(&folder, &[""]);
    assert!(discovery.sources.is_empty() && discovery.unreadable.is_empty());
}

#[test]
fn folders_without_end() {
    let folder = tree(&[&format!("{}x.log", "d/".repeat(70)), "y.log"]);
    let discovery = find(&folder, &[""]);
    assert_eq!(shown(&discovery), ["y.log"]);
    let [(_, why)] = refused(&discovery)[..] else {
        panic!("{discovery:?}")
    };
    assert!(why.contains("64 folders deep"), "{why}");
}

#[cfg(unix)]
mod unix {
    use super::{find, refused, shown, tree};
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn odd_names() {
        let folder = tree(&["with space.log", "two\nlines.log", "quote'\".log"]);
        fs::write(folder.path().join(OsStr::from_bytes(b"caf\xe9.log")), "x").unwrap();
        let discovery = find(&folder, &[""]);
        assert_eq!(
            shown(&discovery),
            [
                "caf\\xe9.log",
                "quote'\".log",
                "two\\nlines.log",
                "with space.log"
            ]
        );
        assert!(discovery.sources.iter().all(|source| source.open_path.exists()));
    }

    #[test]
    fn links_in_a_circle() {
        let folder = tree(&["a/x.log", "b/y.log"]);
        symlink("..", folder.path().join("a/up")).unwrap();
        symlink("self", folder.path().join("self")).unwrap();
        symlink("../a", folder.path().join("b/to-a")).unwrap();
        let discovery = find(&folder, &[""]);
        assert_eq!(shown(&discovery), ["a/x.log", "b/y.log"]);
        let [(name, _)] = refused(&discovery)[..] else {
            panic!("{discovery:?}")
        };
        assert_eq!(name, "self");
    }

    #[test]
    fn links_are_followed_once_and_files_are_named_by_their_own_place() {
        let outside = tree(&["deep/z.log"]);
        let folder = tree(&["m/x.log"]);
        symlink("m/x.log", folder.path().join("a.log")).unwrap();
        symlink("gone", folder.path().join("nothing.log")).unwrap();
        symlink(outside.path(), folder.path().join("link-1")).unwrap();
        symlink(outside.path(), folder.path().join("link-2")).unwrap();
        let discovery = find(&folder, &[""]);
        assert_eq!(shown(&discovery), ["link-1/deep/z.log", "m/x.log"]);
        assert_eq!(refused(&discovery)[0].0, "nothing.log");
    }

    #[test]
    fn kubelet_links_lead_to_files_outside() {
        let pods = tree(&["prod_web-0_0f0c9a4e-5ff5-4a6e-8a1b-6d3c1f0e9b7a/istio-proxy/0.log"]);
        let folder = tree(&[]);
        let id = "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945";
        let link = folder.path().join(format!("web-0_prod_istio-proxy-{id}.log"));
        symlink(
            pods.path()
                .join("prod_web-0_0f0c9a4e-5ff5-4a6e-8a1b-6d3c1f0e9b7a/istio-proxy/0.log"),
            link,
        )
        .unwrap();
        let discovery = find(&folder, &[""]);
        assert_eq!(discovery.sources[0].identity.pod.as_deref(), Some("web-0"));
    }

    #[test]
    fn special_files_in_a_folder_are_named_and_not_waited_for() {
        let folder = tree(&["x.log"]);
        let pipe = folder.path().join("pipe");
        assert!(
            std::process::Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
        let discovery = find(&folder, &[""]);
        assert_eq!(shown(&discovery), ["x.log"]);
        let [(first, pipe), (second, socket)] = refused(&discovery)[..] else {
            panic!("{discovery:?}")
        };
        assert_eq!((first, second), ("pipe", "socket"));
        assert!(
            pipe.starts_with("a named pipe") && socket.starts_with("a socket"),
            "{pipe}, {socket}"
        );
        let given = find(&folder, &["pipe"]);
        assert_eq!((shown(&given), given.sources[0].size_bytes), (vec!["pipe"], None));
    }

    #[test]
    fn folders_that_may_not_be_listed() {
        let folder = tree(&["open/x.log", "shut/y.log"]);
        let shut = folder.path().join("shut");
        fs::set_permissions(&shut, fs::Permissions::from_mode(0o000)).unwrap();
        let skip = fs::read_dir(&shut).is_ok();
        let discovery = find(&folder, &[""]);
        fs::set_permissions(&shut, fs::Permissions::from_mode(0o700)).unwrap();
        if skip {
            println!("skipped: this user (root?) may list every folder");
            return;
        }
        assert_eq!(shown(&discovery), ["open/x.log"]);
        let [(name, why)] = refused(&discovery)[..] else {
            panic!("{discovery:?}")
        };
        assert_eq!(name, "shut");
        assert!(why.contains("run as a user who may"), "{why}");
    }
}
