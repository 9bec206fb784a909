//! `add` and `remove`.

use std::fs;
use std::net::TcpListener;

use super::given::healthy;
use crate::host::{Host, Toml};

#[test]
fn add_and_remove_edit_local_toml_and_keep_comments() {
    let (a, b) = (healthy(), healthy());
    let host = Host::new(&Toml::of(&[("A", &a)]));
    let local = host.at("etc/mirrors.d/local.toml");
    let said = host.run(&["add", &b.url(), "--name", "B"]).ended(0);
    assert!(said.out.contains('B'), "{said:?}");
    assert!(!b.requests().is_empty(), "it was probed first");
    let text = fs::read_to_string(&local).unwrap();
    fs::write(&local, format!("# mine\n{text}# end\n")).unwrap();
    host.run(&["check"]).ended(0);
    host.run(&["probe", "B"]).ended(0);
    host.run(&["add", &b.url()]).ended(1);
    host.run(&["add", "https://<your_code>.mirror.aliyuncs.com"]).ended(1);
    host.run(&["add", "https://a.example/v2/"]).ended(1);
    host.run(&["remove", "A"]).ended(0);
    let report = host.run(&["probe", "--json"]).ended(0).json();
    assert_eq!(report["mirrors"].as_array().unwrap().len(), 1, "a shipped one is switched off: {report:#}");
    host.run(&["remove", "B"]).ended(0);
    let text = fs::read_to_string(&local).unwrap();
    assert!(text.contains("# mine") && text.contains("# end") && !text.contains(&b.url()), "{text}");
    assert!(text.contains("enabled = false"), "{text}");
    host.run(&["remove", "B"]).ended(1);
    host.run(&["add", &a.url()]).ended(0);
    let report = host.run(&["probe", "--json"]).ended(0).json();
    assert_eq!(report["mirrors"][0]["name"], "A", "added again, it is itself again");
}

#[test]
fn add_takes_one_that_is_down_and_says_so() {
    let (a, down) = (healthy(), healthy());
    down.stop();
    let host = Host::new(&Toml::of(&[("A", &a)]));
    let said = host.run(&["add", &down.url()]).ended(0);
    assert!(said.out.contains("refused"), "{said:?}");
}

#[test]
fn what_somebody_wrote_while_add_asked_is_not_written_over() {
    let a = healthy();
    for there in [false, true] {
        let host = Host::new(&Toml::of(&[("A", &a)]));
        let local = host.at("etc/mirrors.d/local.toml");
        fs::create_dir_all(local.parent().unwrap()).unwrap();
        if there {
            fs::write(&local, "# mine\n").unwrap();
        }
        let theirs = "[[mirror]]\nname = \"theirs\"\nurl = \"http://127.0.0.9:9\"\n";
        let asked = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", asked.local_addr().unwrap());
        let said = std::thread::scope(|scope| {
            // Asked once, it writes, and is gone.
            scope.spawn(|| {
                let connection = asked.accept();
                fs::write(&local, theirs).unwrap();
                drop((connection, asked));
            });
            host.run(&["add", &url]).ended(1)
        });
        assert!(said.err.contains("another program edits this file at the same time"), "{said:?}");
        assert_eq!(fs::read_to_string(&local).unwrap(), theirs, "there before: {there}");
    }
}
