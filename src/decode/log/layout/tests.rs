use super::*;
use crate::decode::log::samples::{ROWS, describe_block, summary};
use proptest::prelude::*;

/// Istio's default text line.
const ISTIO: &str = "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% %RESPONSE_FLAGS% \
    %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% \"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% %BYTES_SENT% \
    %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" \
    \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% \
    %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n";

fn decoder(formats: &[&str]) -> LogDecoder {
    let layouts = formats.iter().map(|format| Layout::compile(format).unwrap());
    LogDecoder::with_layouts(&Layouts::new(layouts))
}

/// What rows of these formats say.
fn read(formats: &[&str], lines: &str) -> Vec<String> {
    let mut told = Vec::new();
    decoder(formats).decode_block(lines.as_bytes(), &mut |_, line| {
        told.push(match &line.content {
            Content::Access(row) => summary(row),
            other => format!("{other:?}"),
        });
    });
    told
}

fn refused(format: &str) -> LayoutError {
    Layout::compile(format).unwrap_err()
}

#[test]
fn the_known_layout_read_by_its_format_string_says_the_same() {
    let modern = ROWS
        .iter()
        .filter(|(_, meaning)| meaning.starts_with("istio-text "));
    let mut count = 0;
    for (line, meaning) in modern {
        let told = read(&[ISTIO], line);
        let [told] = told.as_slice() else { panic!("{line}") };
        if told.starts_with("custom ") {
            count += 1;
            assert_eq!(told.replacen("custom ", "istio-text ", 1), *meaning, "{line}");
        } else {
            assert_eq!(
                told, meaning,
                "what the format does not fit is read as ever: {line}"
            );
        }
    }
    assert!(count >= 7, "{count}");
}

#[test]
fn known_layouts_are_known() {
    let is_known = |format: &str| Layout::compile(format).unwrap().is_known();
    assert!(is_known(ISTIO));
    assert!(is_known(
        "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% %RESPONSE_FLAGS% \
         %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \
         \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\"\n"
    ));
    assert!(is_known(
        r#"{"start_time":"%START_TIME%","response_code":"%RESPONSE_CODE%","upstream_cluster":"%UPSTREAM_CLUSTER_RAW%","x":"y"}"#
    ));
    for other in [
        "%START_TIME% %RESPONSE_CODE%",
        &ISTIO.replace("%RESPONSE_FLAGS%", "%RESPONSE_FLAGS% %HOSTNAME%"),
        r#"{"start_time":"%START_TIME%","status":"%RESPONSE_CODE%"}"#,
        r#"{"response_code":"%RESPONSE_CODE%","request":"%REQ(:METHOD)% %REQ(:PATH)%"}"#,
    ] {
        assert!(!is_known(other), "{other}");
    }
}

#[test]
fn texts_that_hold_what_ends_them() {
    let format =
        "%START_TIME% code=%RESPONSE_CODE% agent=\"%REQ(USER-AGENT)%\" path=\"%REQ(:PATH)%\" ms=%DURATION%";
    let line = "2026-11-22T16:50:43.147Z code=503 agent=\"say \"hi\" path=1\" path=\"/a\" ms=x b\" ms=12";
    let told = read(&[format], line);
    assert!(told[0].contains(" 503 "), "{told:?}");
    assert!(
        told[0].contains("/a\"·ms=x·b"),
        "the first end after which all else fits: {told:?}"
    );
    assert!(told[0].contains("say·\"hi\"·path=1"), "{told:?}");
}

#[test]
fn json_of_the_users_own_keys() {
    let format = r#"{"ts":"%START_TIME%","st":"%RESPONSE_CODE%","fl":"%RESPONSE_FLAGS%","req":"%REQ(:METHOD)% %REQ(:PATH)% %PROTOCOL%",
        "ms":"%DURATION%","to":"%UPSTREAM_CLUSTER%","host":"%UPSTREAM_HOST%","env":"prod","time":"%REQ(X-TIME)%","msg":"%REQ(:AUTHORITY)%"}"#;
    let row = r#"{"ts":"2026-11-22T16:50:43.147Z","st":503,"fl":"UF","req":"GET /a/b HTTP/1.1","ms":7,"to":"outbound|80||a.b.svc.cluster.local","host":"10.0.0.1:80","env":"prod","time":null}"#;
    let component =
        r#"{"level":"warning","time":"2026-11-22T16:50:43.147000Z","scope":"envoy config","msg":"gone"}"#;
    let told = read(&[format], &format!("{row}\n{row}\n{component}\n"));
    assert_eq!(
        told[0], told[1],
        "the order of keys that was learned changes nothing"
    );
    for part in [
        "custom",
        "503",
        "UF",
        "GET",
        "/a/b",
        "HTTP/1.1",
        "outbound|80||a.b.svc.cluster.local",
        "10.0.0.1:80",
    ] {
        assert!(told[0].contains(part), "{part}: {}", told[0]);
    }
    assert!(told[2].starts_with("Component"), "{}", told[2]);
    assert!(told[2].contains("time: Some"), "{}", told[2]);
}

#[test]
fn json_with_objects_in_it() {
    let format = r#"{"time":"%START_TIME%","httpRequest":{"requestMethod":"%REQ(:METHOD)%","status":"%RESPONSE_CODE%","latency":"%DURATION%ms",
        "remote":{"up":"%UPSTREAM_HOST%","upstream":"%UPSTREAM_REMOTE_ADDRESS%"}},"labels":{"cluster":"%UPSTREAM_CLUSTER%"},"flags":"%RESPONSE_FLAGS%"}"#;
    let row = r#"{"flags":"UF","labels":{"cluster":"outbound|80||a.b.svc.cluster.local","path":"/no"},"httpRequest":{"status":503,"latency":"7ms","remote":{"upstream":"10.0.0.2:80","up":"10.0.0.1:80"},"requestMethod":"GET"},"time":"2026-11-22T16:50:43.147Z"}"#;
    let told = read(&[format], &format!("{row}\n{row}\n"));
    assert_eq!(told[0], told[1]);
    for part in [
        "custom",
        "503",
        "UF",
        "GET",
        "outbound|80||a.b.svc.cluster.local",
        "10.0.0.1:80",
        "2026-11-22T16:50:43.147",
        " 7 ",
    ] {
        assert!(told[0].contains(part), "{part}: {}", told[0]);
    }
    assert!(
        !told[0].contains("10.0.0.2"),
        "the better operator counts: {}",
        told[0]
    );
    assert!(
        !told[0].contains("/no"),
        "a key of no layout inside of one: {}",
        told[0]
    );
    let other =
        r#"{"flags":"UF","labels":"none","httpRequest":[{"status":503}],"time":"2026-11-22T16:50:43.147Z"}"#;
    let told = read(&[format], other);
    assert!(told[0].starts_with("custom"), "{told:?}");
    assert!(!told[0].contains("503"), "{told:?}");
}

#[test]
fn objects_of_two_layouts_are_one() {
    let formats = [
        r#"{"a":{"b":"%RESPONSE_CODE%","same":"%UPSTREAM_HOST%"},"f":"%RESPONSE_FLAGS%"}"#,
        r#"{"a":{"c":"%DURATION%","same":"%ROUTE_NAME%"},"f":"%RESPONSE_FLAGS%"}"#,
    ];
    let told = read(
        &formats,
        r#"{"f":"UF","a":{"b":503,"c":77,"same":"10.0.0.1:80"}}"#,
    );
    for part in ["503", "77", "10.0.0.1:80"] {
        assert!(told[0].contains(part), "{part}: {told:?}");
    }
}

#[test]
fn json_like_text_whose_numbers_have_no_quotes() {
    let format = r#"{"time":"%START_TIME%","status":%RESPONSE_CODE%,"path":"%REQ(:PATH)%"}"#;
    let told = read(
        &[format],
        r#"{"time":"2026-11-22T16:50:43.147Z","status":404,"path":"/"quoted""}"#,
    );
    assert!(told[0].starts_with("custom"), "{told:?}");
    assert!(told[0].contains("404"), "{told:?}");
}

#[test]
fn other_lines_are_read_as_ever() {
    let format = "access %START_TIME% %RESPONSE_CODE% %RESPONSE_FLAGS%";
    let lines = "access 2026-11-22T16:50:43.147Z 200 -\n\
        2026-11-22T16:50:43.147000Z\twarning\tenvoy config\tgone\n\
        access to all areas\n";
    let told = read(&[format], lines);
    assert!(told[0].starts_with("custom"), "{told:?}");
    assert!(told[1].starts_with("Component"), "{told:?}");
    assert!(told[2].starts_with("Continuation"), "{told:?}");
}

#[test]
fn times_of_every_form() {
    let at = "2026-11-22T16:50:43.5Z";
    for (form, text) in [
        ("", "2026-11-22T16:50:43.500Z"),
        ("(%Y-%m-%dT%H:%M:%S.%3fZ)", "2026-11-22T16:50:43.500Z"),
        ("(%Y/%m/%d %H:%M:%S.%6f)", "2026/11/22 16:50:43.500000"),
        ("(%s.%3f)", "1795366243.500"),
        ("(%s%3f)", "1795366243500"),
        ("(%Y-%m-%dT%H:%M:%E3S%Ez)", "2026-11-22T17:50:43.500+01:00"),
        (
            "(%d/%b/%Y:%H:%M:%S.%9f %z)",
            "22/Nov/2026:16:50:43.500000000 +0000",
        ),
    ] {
        let format = format!("<%START_TIME{form}%> %RESPONSE_CODE%");
        let mut start = None;
        decoder(&[&format]).decode_block(format!("<{text}> 200").as_bytes(), &mut |_, line| {
            if let Content::Access(row) = &line.content {
                start = row.start;
            }
        });
        let told = start.map(|start| start.0);
        assert_eq!(told, Some(1_795_366_243_500_000_000), "{form} {text}: {at}");
    }
}

#[test]
fn the_better_of_two_operators_of_one_meaning_counts() {
    let format = "%REQ(HOST)% %REQ(:AUTHORITY)% %UPSTREAM_REMOTE_ADDRESS% %UPSTREAM_HOST% %RESPONSE_CODE%";
    let told = read(&[format], "one two 10.0.0.1:1 10.0.0.2:2 200");
    assert!(
        told[0].contains("two") && told[0].contains("10.0.0.2:2"),
        "{told:?}"
    );
    assert!(
        !told[0].contains("one") && !told[0].contains("10.0.0.1"),
        "{told:?}"
    );
}

#[test]
fn what_is_no_format() {
    assert_eq!(refused("a %RESPONSE_CODE").at, 2);
    assert_eq!(refused("50% of %RESPONSE_CODE%").at, 2);
    assert_eq!(refused("%REQ(:PATH%").at, 0);
    assert_eq!(refused("a\nb %RESPONSE_CODE%").at, 1);
    assert!(
        refused("%RESPONSE_CODE%%DURATION%")
            .what
            .contains("nothing between")
    );
    assert!(refused("%HOSTNAME% 100%%").what.contains("no operator"));
    assert!(refused(r#"{"a":"b"}"#).what.contains("no operator"));
    assert!(refused(&"%DURATION% ".repeat(200)).what.contains("256"));
    let keys: Vec<String> = (0..300).map(|key| format!(r#""{key}":"%DURATION%""#)).collect();
    assert!(
        refused(&format!("{{{}}}", keys.join(",")))
            .what
            .contains("256 keys")
    );
    let deep = |depth: usize| {
        format!(
            "{}{}{}",
            r#"{"a":"#.repeat(depth),
            r#""%DURATION%""#,
            "}".repeat(depth)
        )
    };
    assert!(refused(&deep(10)).what.contains("8 objects"));
    assert!(Layout::compile(&deep(9)).is_ok());
}

#[test]
fn guesses_are_limited() {
    let format = "%REQ(A)% %REQ(B)% %REQ(C)% %REQ(D)% %RESPONSE_CODE%";
    let line = "a ".repeat(100_000);
    assert!(read(&[format], &line)[0].starts_with("Unknown"));
    let separated = "%REQ(A)% | %REQ(B)% | %REQ(C)% | %RESPONSE_CODE%";
    let line = "a ".repeat(60_000) + "| b | c | 200";
    assert!(read(&[separated], &line)[0].starts_with("Unknown"));
    let line = "a ".repeat(1000) + "| b | c | 200";
    assert!(read(&[separated], &line)[0].starts_with("custom"));
}

proptest! {
    /// Whatever a line holds, a decoder with layouts ends and gives every line once.
    #[test]
    fn any_line(lines in proptest::collection::vec("[\\[\\]{}\" a-z0-9:.%-]{0,80}", 0..5)) {
        let data = lines.join("\n");
        let mut decoder = decoder(&[ISTIO, "%REQ(A)% %REQ(B)%:%DURATION%", r#"{"a":"%DURATION% %REQ(B)%","b":{"a":"%DURATION%"}}"#]);
        let mut count = 0_usize;
        decoder.decode_block(data.as_bytes(), &mut |_, _| count += 1);
        let expected = if data.is_empty() { 0 } else { data.split_inclusive('\n').count() };
        prop_assert_eq!(count, expected);
        prop_assert_eq!(describe_block(&mut decoder, data.as_bytes()), describe_block(&mut decoder, data.as_bytes()));
    }

    /// Any text is a format string or an error.
    #[test]
    fn any_format(format in "[%A-Z_(){}:\"a-z0-9 ?,\n-]{0,60}") {
        let _ = Layout::compile(&format);
    }
}
