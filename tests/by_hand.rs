//! `restore`, `pause`, `resume` and `apply --dry-run`, as the person at the keyboard meets them.

mod host;
#[expect(dead_code, reason = "the fakes are shared by several tests, and each uses a part")]
mod support;

use std::fs;

use mirrorwatch::file;

use host::{Host, Said, Toml};
use support::registry::{Options, Registry};

fn host(text: &str) -> (Host, Registry) {
    let registry = Registry::start(Options::default());
    (Host::with_file(&Toml::of(&[("A", &registry)]), Some(text)), registry)
}

/// With these words on either stream, in both languages.
#[track_caller]
fn says(host: &Host, arguments: &[&str], code: i32, words: [&str; 2]) {
    for (lang, words) in ["en", "zh"].into_iter().zip(words) {
        let Said { out, err, .. } = host.run(&[&["--lang", lang], arguments].concat()).ended(code);
        assert!(out.contains(words) || err.contains(words), "{words:?} not in:\n{out}\n{err}");
    }
}

#[test]
fn where_nothing_was_ever_written_restore_says_so_asks_nobody_and_pauses_nothing() {
    let (host, _registry) = host("{}");
    let nothing = ["there is nothing to restore", "没有可恢复的内容"];
    says(&host, &["restore"], 0, nothing);
    fs::remove_file(host.engine.socket()).unwrap();
    says(&host, &["restore"], 0, nothing);
    says(&host, &["restore", "--dry-run"], 0, nothing);
    says(&host, &["restore", "--to", "3"], 1, nothing);
    assert!(!host.at("state/pause.json").exists());
    assert_eq!(host.engine.text().unwrap(), "{}");
}

#[test]
fn a_restore_that_fails_leaves_a_pause_file_as_it_was_whatever_is_in_it() {
    let (host, _registry) = host("{\"registry-mirrors\": [\"https://old.example\"]}");
    host.run(&["apply"]).ended(0);
    host.engine.be_stubborn();
    for before in ["{", "{\"service\":{\"until\":null},\"engines\":{}}\n"] {
        file::replace(&host.at("state/pause.json"), before.as_bytes(), None).unwrap();
        host.run(&["restore"]).ended(1);
        assert_eq!(fs::read_to_string(host.at("state/pause.json")).unwrap(), before);
    }
    fs::remove_file(host.at("state/pause.json")).unwrap();
    host.run(&["restore"]).ended(1);
    assert!(!host.at("state/pause.json").exists());
}

#[test]
fn a_restore_replaces_a_pause_file_that_makes_no_sense_and_says_so() {
    let (host, _registry) = host("{}");
    host.run(&["apply"]).ended(0);
    file::replace(&host.at("state/pause.json"), b"{", None).unwrap();
    says(&host, &["restore"], 0, ["pause.json", "mirrorwatch resume"]);
    let pause = fs::read_to_string(host.at("state/pause.json")).unwrap();
    assert_eq!(pause, "{\"service\":null,\"engines\":{\"docker\":{\"until\":null}}}\n");
}

#[test]
fn after_a_restore_the_way_back_is_named_and_resume_says_that_nobody_keeps_the_list() {
    let (host, _registry) = host("{}");
    for lang in 0..2 {
        host.run(&["apply"]).ended(0);
        let said = host.run(&["restore", "--lang", ["en", "zh"][lang]]).ended(0);
        assert!(said.out.contains("sudo mirrorwatch resume"), "{said:?}");
        let said = host.run(&["apply"]).ended(0);
        assert!(said.err.contains("sudo mirrorwatch resume"), "{said:?}");
        let said = host.run(&["resume", "--lang", ["en", "zh"][lang]]).ended(0);
        assert!(said.out.contains(["the service is not running", "服务没有运行"][lang]), "{said:?}");
    }
}

#[test]
fn a_restore_that_the_history_will_not_have_says_so() {
    let (host, _registry) = host("{}");
    host.run(&["apply"]).ended(0);
    // Somebody else writes, and does not end.
    let other = rusqlite::Connection::open(host.at("state/state.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let said = host.run(&["restore"]).ended(0);
    assert!(said.err.contains("state.db: "), "{said:?}");
}

#[test]
fn a_state_that_is_not_kept_is_told_with_those_that_are() {
    let (host, _registry) = host("{}");
    host.run(&["apply"]).ended(0);
    says(
        &host,
        &["restore", "--to", "99"],
        1,
        ["there is no state 99; kept are 0 to 1", "没有编号为 99 的状态；已保存的编号：0 至 1"],
    );
    says(&host, &["restore", "--to", "x"], 2, ["a number of `restore --list`", "restore --list 中的编号"]);
    let said = host.run(&["restore", "--to", "-1", "--lang", "zh"]);
    assert!(said.code == Some(2) && !said.err.contains("digit"), "{said:?}");
}

#[test]
fn how_long_a_pause_lasts_is_said_in_two_units_at_most() {
    let (host, _registry) = host("{}");
    for (length, en, zh) in [
        ("2h", "Paused for 2 h (", "已暂停 2 小时（"),
        ("90m", "Paused for 1 h 30 min (", "已暂停 1 小时 30 分钟（"),
        ("1day", "Paused for 1 d (", "已暂停 1 天（"),
        ("36h", "Paused for 1 d 12 h (", "已暂停 1 天 12 小时（"),
        ("100years", "Paused for 36525 d (", "已暂停 36525 天（"),
        ("90s", "Paused for 1 min 30 s (", "已暂停 1 分钟 30 秒（"),
    ] {
        says(&host, &["pause", "--for", length], 0, [en, zh]);
    }
}

#[test]
fn a_diff_is_safe_for_a_terminal_and_has_no_password_in_it() {
    let text = "{\n\t\"log-opts\": {\"tag\": \"a\u{202e}b\u{9b}2J\"},\r\n\t\"proxies\": {\"https-proxy\": \"http://user:s\\u0065cret@127.0.0.1:9\",\n\t\"http-proxy\": \"user:secret@127.0.0.1:9\"},\n\t\"mtu\": 1500\n}\n";
    let (host, registry) = host(text);
    let check = |arguments: &[&str], line: &str| {
        let Said { out, .. } = host.run(arguments).ended(0);
        assert!(out.contains(line), "{out}");
        assert!(!out.contains("cret"), "{out}");
        assert!(out.contains("\"https-proxy\": \"http://***@127.0.0.1:9\""), "{out}");
        assert!(out.contains("\"http-proxy\": \"***@127.0.0.1:9\""), "{out}");
        assert!(
            out.chars().all(|c| matches!(c, '\t' | '\n') || !c.is_control() && c != '\u{202e}'),
            "{out:?}"
        );
    };
    check(&["apply", "--dry-run"], &format!("+\t\t\"{}\"", registry.url()));
    let json = host.run(&["apply", "--dry-run", "--json"]).ended(0);
    assert!(!json.out.contains("cret"), "{json:?}");
    host.run(&["apply"]).ended(0);
    assert!(host.engine.text().unwrap().contains("s\\u0065cret"), "only what is shown is without it");
    check(&["restore", "--dry-run"], &format!("-\t\t\"{}\"", registry.url()));
}

#[test]
fn with_docker_down_for_its_broken_file_every_command_names_the_place_and_not_only_the_start() {
    let (host, _registry) = host("{}");
    host.run(&["apply"]).ended(0);
    fs::remove_file(host.engine.socket()).unwrap();
    file::replace(&host.engine.file(), b"{\n  \"mtu\": 1500,\n}\n", None).unwrap();
    let place = format!("{}:3:1", host.engine.file().display());
    let places = [format!("{place}: not valid JSON: "), format!("{place}：不是有效的 JSON：")];
    for arguments in [&["apply"][..], &["apply", "--dry-run"], &["restore"]] {
        says(&host, arguments, 1, places.each_ref().map(String::as_str));
        says(&host, arguments, 1, ["does not start with its configuration file", "无法用现在的配置文件启动"]);
        says(&host, arguments, 1, ["correct it at the line and column", "按给出的行号和列号修正"]);
    }
}

#[test]
fn a_failed_apply_says_once_what_failed_why_and_what_to_do() {
    let (host, registry) = host("{}\n");
    let file = host.engine.file().display().to_string();
    let check = |words: [String; 2]| {
        for (lang, words) in ["en", "zh"].into_iter().zip(words) {
            let said = host.run(&["apply", "--lang", lang, "-q"]).ended(1);
            assert_eq!((&*said.out, said.err), ("", words));
        }
    };
    fs::hard_link(host.engine.file(), host.at("etc/second")).unwrap();
    check([
        format!(
            "error: {file}: cannot be replaced: it has several hard links\n\
             a file is only ever replaced as a whole, so that a crash never leaves half of it\n\
             hint: the file has several hard links; make it a file of its own: cp it aside and mv it back\n"
        ),
        format!(
            "错误：{file}：无法替换：它有多个硬链接\n\
             文件只会整体原子替换，这样即使崩溃也不会留下半截内容\n\
             提示：请把它变成独立的文件：先 cp 一份，再 mv 回来\n"
        ),
    ]);
    fs::remove_file(host.at("etc/second")).unwrap();
    host.engine.be_stubborn();
    check([
        format!(
            "error: {file}: dockerd did not take the list within 5s: it gave no reason; the old file is back\n\
             a file that dockerd refuses would keep it from starting at the next boot\n\
             hint: see the reason in its log: sudo journalctl -u docker -n 20\n"
        ),
        format!(
            "错误：{file}：dockerd 在 5s 内没有采用该列表：未说明原因；已恢复原文件\n\
             留下 dockerd 拒绝的文件会使它在下次开机时无法启动\n\
             提示：在日志中查看原因：sudo journalctl -u docker -n 20\n"
        ),
    ]);
    registry.stop();
    check([
        "error: this host's own network seems to be down: nobody who was asked answered, so nothing was changed\n\
         hint: check the network and the proxy, then try again\n"
            .to_owned(),
        "错误：本机网络似乎不通：所有探测目标都没有响应，因此未作任何改动\n提示：请检查网络和代理后重试\n".to_owned(),
    ]);
}

#[test]
fn a_reload_command_that_is_slow_is_named_while_it_is_waited_for_and_one_that_fails_with_what_to_do() {
    let registry = Registry::start(Options::default());
    let mut toml = Toml::of(&[("A", &registry)]);
    let host = Host::new(&toml);
    let slow = |then: &str| format!("sleep 4; {then}");
    toml.docker = format!("reload = [\"sh\", \"-c\", \"{}\"]\n", slow("exit 3"));
    host.configure(&toml);
    let command = "sh -c 'sleep 4; exit 3'";
    for (lang, waiting, hint) in [
        (
            "en",
            "waiting for Docker to take the list; the `reload` command of [engine.docker] ",
            "hint: type it, to see what it does: ",
        ),
        (
            "zh",
            "正在等待 Docker 采用该列表；[engine.docker] 的 `reload` 命令",
            "提示：请手动执行，查看其结果：",
        ),
    ] {
        let said = host.run(&["apply", "--lang", lang]).ended(1);
        let lines: Vec<&str> = said.err.lines().collect();
        assert!(lines[0].starts_with(waiting) && lines[0].ends_with(command), "{said:?}");
        assert!(lines[3].starts_with(&format!("{hint}{command}")), "{said:?}");
        assert!(!said.err.contains("systemctl"), "{said:?}");
    }
    let marker = host.engine.file().with_file_name("reload").display().to_string();
    toml.docker = format!("reload = [\"sh\", \"-c\", \"{}\"]\n", slow(&format!("touch {marker}")));
    host.configure(&toml);
    for command in ["apply", "restore"] {
        let said = host.run(&[command]).ended(0);
        assert!(said.err.starts_with("waiting for Docker to take the list; "), "{said:?}");
    }
}

#[test]
fn who_is_asked_again_within_a_minute_is_warned_of_and_asked_all_the_same() {
    let [a, b, c] = [0, 1, 2].map(|_| Registry::start(Options::default()));
    let host = Host::new(&Toml {
        schedule: "connect = \"5h\"\nsample = \"5h\"\nrehearse = \"5h\"\n",
        ..Toml::of(&[("A", &a), ("B", &b)])
    });
    let text = fs::read_to_string(host.config()).unwrap();
    // As one of sixty hosts it has an hour for a minute's requests: no machine is so slow that this test takes longer.
    host.write(&text.replace("requests_per_minute = 100000", "requests_per_minute = 10\nshare = 60"));
    for alone in ["A", "B", "A", "B"] {
        let said = host.run(&["probe", alone]).ended(0);
        assert!(!said.err.contains("warning"), "the first two times: {}", said.err);
    }
    let asked = a.requests().len();
    let line = "warning: asked more than 10 times in the last 1 h already: A, B; by hand they are";
    says(&host, &["probe"], 0, [line, "警告：最近 1 小时内的请求已超过 10 次：A, B；"]);
    says(&host, &["apply"], 0, [line, "内的请求已超过 10 次：A, B；"]);
    assert!(a.requests().len() > asked, "warned, and not refused");
    assert_eq!(host.run(&["probe", "--depth", "connect"]).ended(0).err, "", "a handshake is no request");
    assert_eq!(host.run(&["-q", "probe"]).ended(0).err, "");

    // A service keeps the records, and takes over what was asked by hand some minutes later.
    let _service = host.serve();
    host.wait_for_status("the service", |status| status["mirrors"][0]["verdict"] == "live");
    let url = c.url();
    for _ in 0..2 {
        let said = host.run(&["probe", &url]).ended(0);
        assert!(!said.err.contains("warning"), "the first two times: {}", said.err);
    }
    let said = host.run(&["probe", &url]).ended(0);
    assert!(said.err.contains("warning: asked more than 10 times"), "{}", said.err);
}
