//! The program as a shell sees it. Runs that need no input; everything else is tested in memory, in `src/cli`.

use assert_cmd::Command;

fn postmesh(args: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("postmesh"));
    command
        .args(args)
        .env_remove("CLICOLOR_FORCE")
        .env_remove("NO_COLOR");
    command
}

#[test]
fn no_arguments_print_help_on_standard_error() {
    let assert = postmesh(&[]).assert().code(2).stdout("");
    assert!(String::from_utf8_lossy(&assert.get_output().stderr).contains("Usage: postmesh"));
}

#[test]
fn the_schema_is_the_one_in_the_repository() {
    let committed = include_str!("../report.schema.json");
    postmesh(&["schema"])
        .assert()
        .code(0)
        .stderr("")
        .stdout(committed);
}

#[test]
fn completions_and_the_manual_page_are_made_from_the_code() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let assert = postmesh(&["completions", shell]).assert().code(0).stderr("");
        assert!(
            String::from_utf8_lossy(&assert.get_output().stdout).contains("exit-zero"),
            "{shell}"
        );
    }
    let assert = postmesh(&["man"]).assert().code(0).stderr("");
    assert!(String::from_utf8_lossy(&assert.get_output().stdout).contains("Exit status"));
}

#[test]
fn a_format_after_o_gets_a_hint() {
    let assert = postmesh(&["-o", "json", "incident"]).assert().code(2).stdout("");
    let stderr = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(
        stderr.contains("`-o` names a file; for json on standard output use `-f json`"),
        "{stderr}"
    );
}

#[test]
fn what_is_not_there_is_one_line_and_status_2() {
    let assert = postmesh(&["/nowhere/at/all"]).assert().code(2).stdout("");
    let stderr = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(
        stderr.starts_with("postmesh: ") && stderr.lines().count() == 1,
        "{stderr}"
    );
}

#[test]
#[cfg(unix)]
fn a_pipe_that_closes_early_is_quiet() {
    let program = assert_cmd::cargo::cargo_bin!("postmesh");
    let script = format!(
        "'{}' schema | head -c 1 >/dev/null; echo ${{PIPESTATUS[0]}}",
        program.display()
    );
    Command::new("bash")
        .args(["-c", &script])
        .assert()
        .code(0)
        .stdout("0\n")
        .stderr("");
}
