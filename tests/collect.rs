//! `postmesh collect`: the script runs, reads only, and a part that fails stops nothing.

use crate::running::{Scratch, postmesh};
use std::process::Command;

#[test]
fn the_script_gathers_what_it_can_and_names_the_rest() {
    let run = postmesh::<&str>(
        &["collect", "-n", "shop", "--pod", "web-1", "--since", "30m"],
        &[],
    );
    assert_eq!(run.status, 0);
    let scratch = Scratch::new();
    let script = scratch.write("collect.sh", &run.stdout);
    // Stand-ins that say how they were called; one of them has no metrics.
    let kubectl = "#!/bin/sh\n[ \"$1\" = top ] && { echo no metrics >&2; exit 1; }\necho kubectl \"$@\"\n";
    scratch.write("bin/kubectl", kubectl);
    scratch.write("bin/istioctl", "#!/bin/sh\necho istioctl \"$@\"\n");
    for tool in ["kubectl", "istioctl"] {
        let made = Command::new("chmod")
            .arg("+x")
            .arg(scratch.path().join("bin").join(tool))
            .status();
        assert!(made.unwrap().success());
    }
    let path = format!("{}/bin:{}", scratch.path().display(), "/usr/bin:/bin");
    let output = Command::new("bash")
        .arg(&script)
        .env_clear()
        .env("PATH", path)
        .current_dir(scratch.path())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    let folder = said
        .lines()
        .find_map(|line| line.strip_prefix("collected in ")?.split(';').next())
        .unwrap();
    let read = |file: &str| {
        std::fs::read_to_string(scratch.path().join(folder).join(file))
            .unwrap_or_else(|error| panic!("{file}: {error}"))
    };
    assert_eq!(
        read("proxies/shop/web-1/istio-proxy.log"),
        "kubectl logs -n shop web-1 -c istio-proxy --since=30m\n"
    );
    assert_eq!(read("config/analyze.txt"), "istioctl analyze -n shop\n");
    assert!(
        read("not-collected.txt").contains("cluster/top-pods.txt"),
        "{said}"
    );
    assert!(
        said.contains("cluster/top-pods.txt"),
        "what is missing is said: {said}"
    );
}
