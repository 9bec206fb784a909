//! `apply` and `restore`: what is written, and what is left as it was.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use serde_json::{Value, json};

use super::given::{INVALID, at_speed, healthy};
use crate::host::{Host, Toml, mirror};
use crate::support::content::ImageSpec;
use crate::support::fault::{Act, Fault};
use crate::support::registry::{Options, Registry};

#[test]
fn a_dry_run_prints_the_diff_and_writes_nothing() {
    let (fast, slow) = (at_speed(20_000_000), at_speed(2_000_000));
    let host =
        Host::with_file(&Toml::of(&[("slow", &slow), ("fast", &fast)]), Some("{\n  \"debug\": false\n}\n"));
    let before = fs::metadata(host.engine.file()).unwrap();
    let said = host.run(&["apply", "--dry-run"]).ended(0);
    let file = host.engine.file().display().to_string();
    assert!(said.out.starts_with(&format!("--- {file}\n+++ {file}\n@@ ")), "{}", said.out);
    assert!(said.out.contains(&fast.url()) && said.out.contains("\n+"), "{}", said.out);
    let after = fs::metadata(host.engine.file()).unwrap();
    assert_eq!((before.ino(), before.mtime_nsec()), (after.ino(), after.mtime_nsec()));
    assert_eq!(host.engine.reloads(), 1, "only its start");
    assert!(fs::read_dir(host.engine.file().parent().unwrap()).unwrap().count() == 2);

    host.run(&["apply"]).ended(0);
    assert_eq!(host.engine.mirrors(), [fast.url(), slow.url()]);
    let said = host.run(&["apply", "--dry-run"]).ended(0);
    assert_eq!(said.out, "", "nothing to write, no diff");
    let reloads = host.engine.reloads();
    host.run(&["apply"]).ended(0);
    assert_eq!(host.engine.reloads(), reloads, "no change, no reload");

    let said = host.run(&["restore", "--dry-run"]).ended(0);
    assert!(said.out.contains("\n-") && said.out.contains(&fast.url()), "{}", said.out);
    assert_eq!(host.engine.mirrors(), [fast.url(), slow.url()]);
    host.run(&["restore"]).ended(0);
    assert_eq!(host.engine.text().unwrap(), "{\n  \"debug\": false\n}\n");
    assert!(host.engine.mirrors().is_empty());
    host.run(&["restore"]).ended(0);
}

#[test]
fn a_file_that_is_not_there_is_made_and_taken_away_again() {
    let registry = healthy();
    let host = Host::with_file(&Toml::of(&[("A", &registry)]), None);
    let diff = host.run(&["apply", "--dry-run"]).ended(0).out;
    assert!(diff.starts_with("--- /dev/null\n"), "{diff}");
    assert_eq!(host.engine.text(), None);
    host.run(&["apply"]).ended(0);
    assert_eq!(host.engine.mirrors(), [registry.url()]);
    host.run(&["restore"]).ended(0);
    assert!(host.engine.mirrors().is_empty());
    assert_eq!(host.engine.text(), None);
}

#[test]
fn kept_entries_stay_first_beyond_max_whatever_their_health() {
    let (own, a, b) = (healthy(), at_speed(20_000_000), at_speed(2_000_000));
    own.stop();
    let mut toml = Toml::of(&[("A", &a), ("B", &b)]);
    toml.docker = format!("keep = [\"{}\"]\n", own.url());
    toml.select += "max = 1\n";
    let host = Host::new(&toml);
    host.run(&["apply"]).ended(0);
    assert_eq!(host.engine.mirrors(), [own.url(), a.url()]);
    let report = host.run(&["apply", "--json"]).ended(0).json();
    assert_eq!(report["list"], json!([own.url(), a.url()]));
    assert_eq!(mirror(&report, "A")["selected"], 1);
}

#[test]
fn where_nobody_reloads_the_file_is_written_and_the_end_is_1() {
    let registry = healthy();
    let mut toml = Toml::of(&[("A", &registry)]);
    toml.docker = "reload = \"none\"\n".to_owned();
    let host = Host::new(&toml);
    host.run(&["apply"]).ended(1);
    assert!(host.engine.text().unwrap().contains(&registry.url()));
    assert!(host.engine.mirrors().is_empty());
}

#[test]
fn a_reload_command_that_fails_brings_the_old_file_back() {
    let registry = healthy();
    let mut toml = Toml::of(&[("A", &registry)]);
    for command in ["[\"false\"]", "[\"/nonexistent/reload\"]"] {
        toml.docker = format!("reload = {command}\n");
        let host = Host::new(&toml);
        let said = host.run(&["apply"]).ended(1);
        assert!(said.err.contains("error: "), "{said:?}");
        assert_eq!(host.engine.text().unwrap(), "{}\n");
        assert!(host.engine.mirrors().is_empty());
    }
}

#[test]
fn an_engine_that_does_not_take_the_list_gets_its_old_file_back() {
    let registry = healthy();
    let host = Host::new(&Toml::of(&[("A", &registry)]));
    host.engine.be_stubborn();
    host.run(&["apply"]).ended(1);
    assert_eq!(host.engine.text().unwrap(), "{}\n");
    // A signal arrives when it arrives; who sent it may have ended by then.
    host.wait("the reload with the old file", || host.engine.reloads() >= 3);
    let _service = host.serve();
    let status =
        host.wait_for_status("the roll-back", |status| status["engines"][0]["state"] == "rolled_back");
    assert!(status["engines"][0]["problem"].is_string());
    host.run(&["status"]).ended(1);
}

#[test]
fn a_broken_file_is_refused_and_said() {
    let registry = healthy();
    let host = Host::with_file(&Toml::of(&[("A", &registry)]), Some("{\"debug\": tru"));
    let said = host.run(&["apply"]).ended(1);
    assert!(said.err.contains("daemon.json:1:"), "{}", said.err);
    host.run(&["restore"]).ended(0);
    assert_eq!(host.engine.text().unwrap(), "{\"debug\": tru");
    let _service = host.serve();
    host.wait_for_status("the refusal", |status| status["engines"][0]["state"] == "refused");
    assert_eq!(host.engine.text().unwrap(), "{\"debug\": tru");
}

#[test]
fn a_link_is_followed_and_mode_and_owner_are_kept() {
    let registry = healthy();
    let host = Host::with_file(&Toml::of(&[("A", &registry)]), None);
    let target = host.at("etc/real.json");
    fs::write(&target, "{\"debug\": false}").unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::chown(&target, Some(0), Some(65534)).unwrap();
    symlink(&target, host.engine.file()).unwrap();
    host.run(&["apply"]).ended(0);
    assert!(host.engine.file().symlink_metadata().unwrap().is_symlink());
    let metadata = fs::metadata(&target).unwrap();
    assert_eq!((metadata.mode() & 0o7777, metadata.gid()), (0o640, 65534));
    assert_eq!(host.engine.mirrors(), [registry.url()]);
    host.run(&["restore"]).ended(0);
    assert_eq!(fs::read_to_string(&target).unwrap(), "{\"debug\": false}");
}

#[test]
fn what_is_restored_is_our_value_alone_when_the_rest_was_edited_since() {
    let registry = healthy();
    let host = Host::with_file(&Toml::of(&[("A", &registry)]), Some("{\"debug\": false}"));
    host.run(&["apply"]).ended(0);
    let edited = host.engine.text().unwrap().replace("false", "true");
    fs::write(host.engine.file(), &edited).unwrap();
    host.run(&["restore"]).ended(0);
    let value: Value = serde_json::from_str(&host.engine.text().unwrap()).unwrap();
    assert_eq!(value, json!({"debug": true}));
}

#[test]
fn restore_goes_by_the_record_when_mirrors_toml_is_invalid() {
    let registry = healthy();
    let host = Host::new(&Toml::of(&[("A", &registry)]));
    host.run(&["apply"]).ended(0);
    host.write(INVALID);
    let said = host.run(&["restore"]).ended(0);
    assert!(said.err.contains("mirrors.toml:2:1"), "{}", said.err);
    assert_eq!(host.engine.text().unwrap(), "{}\n");
    assert!(host.engine.mirrors().is_empty());
}

#[test]
fn restore_puts_back_the_list_of_an_engine_that_was_switched_off_since() {
    let registry = healthy();
    let toml = Toml::of(&[("A", &registry)]);
    let host = Host::with_file(&toml, Some("{\"debug\": false}"));
    host.run(&["apply"]).ended(0);
    host.write(&host.text_of(&toml).replacen("enabled = true", "enabled = false", 1));
    let said = host.run(&["restore", "--dry-run"]).ended(0);
    assert!(said.out.contains("\n-") && said.out.contains(&registry.url()), "{said:?}");
    assert!(host.run(&["restore", "--list"]).ended(0).out.contains("no registry-mirrors"));
    let said = host.run(&["restore"]).ended(0);
    assert_eq!(host.engine.text().unwrap(), "{\"debug\": false}");
    assert!(host.engine.mirrors().is_empty(), "{said:?}");
    assert!(
        said.out.contains("as long as [engine.docker] is disabled, and then until: sudo mirr"),
        "{said:?}"
    );
    let said = host.run(&["apply"]).ended(1);
    assert!(said.err.contains("[engine.docker] is disabled in mirrors.toml\nhint: "), "{said:?}");
    let said = host.run(&["apply", "--lang", "zh"]).ended(1);
    assert!(said.err.contains("[engine.docker] 已停用\n提示："), "{said:?}");
}

#[test]
fn restore_pauses_the_service_for_the_engine_and_apply_by_hand_still_acts() {
    let registry = healthy();
    let host = Host::new(&Toml::of(&[("A", &registry)]));
    let _service = host.serve();
    host.wait_for(&[&registry]);
    host.run(&["restore"]).ended(0);
    host.wait_for_status("the pause", |status| status["engines"][0]["mirrors"] == json!([]));
    host.wait_for_rehearsals("A", 3);
    assert!(host.engine.mirrors().is_empty());
    host.run(&["apply"]).ended(0);
    assert_eq!(host.engine.mirrors(), [registry.url()]);
    host.run(&["restore"]).ended(0);
    host.run(&["resume"]).ended(0);
    host.wait_for(&[&registry]);
}

#[test]
fn unknown_entries_are_adopted_as_candidates() {
    let (own, dead, a) = (at_speed(30_000_000), healthy(), at_speed(3_000_000));
    dead.stop();
    let text = format!("{{\"registry-mirrors\": [\"{}/\", \"{}\"]}}", dead.url(), own.url());
    let host = Host::with_file(&Toml::of(&[("A", &a)]), Some(&text));
    let report = host.run(&["apply", "--json"]).ended(0).json();
    assert_eq!(host.engine.mirrors(), [own.url(), a.url()]);
    let adopted = |url: String| {
        let mirrors = report["mirrors"].as_array().unwrap();
        mirrors.iter().any(|mirror| mirror["url"] == url)
    };
    assert!(adopted(own.url()) && adopted(dead.url()), "{report:#}");
    host.run(&["restore"]).ended(0);
    assert_eq!(host.engine.text().unwrap(), text);
}

#[test]
fn apply_demands_of_mirrors_the_images_that_the_host_has() {
    let image = |repository: &str| ImageSpec { repository: repository.to_owned(), ..ImageSpec::default() };
    let both = vec![image("library/busybox"), image("grafana/grafana")];
    let full = Registry::start(Options { images: both, speed: Some(4_000_000), ..Options::default() });
    let poor = at_speed(8_000_000);
    let mut toml = Toml::of(&[("full", &full), ("poor", &poor)]);
    toml.probe = toml.probe.replace("learn_images = false", "learn_images = true");
    let host = Host::new(&toml);
    host.engine.have(&["grafana/grafana:latest"]);
    let report = host.run(&["apply", "--json"]).ended(0).json();
    assert!(
        full.count(|request| request.path.contains("grafana")) > 0,
        "nobody was asked for what the host has"
    );
    assert_eq!(mirror(&report, "full")["coverage"], json!({"served": 2, "of": 2}));
    assert_eq!(mirror(&report, "poor")["coverage"], json!({"served": 1, "of": 2}));
}

#[test]
fn apply_with_the_network_down_leaves_everything() {
    let registry = healthy();
    let host = Host::new(&Toml::of(&[("A", &registry)]));
    host.run(&["apply"]).ended(0);
    registry.stop();
    host.run(&["apply"]).ended(1);
    assert_eq!(host.engine.mirrors(), [registry.url()]);
    host.run(&["apply", "--dry-run"]).ended(0);
}

#[test]
fn apply_empties_the_list_when_only_the_upstream_answers() {
    let (registry, upstream) = (healthy(), at_speed(1_000_000));
    let host = Host::new(&Toml::of(&[("A", &registry)]).upstream(&upstream.url()));
    host.run(&["apply"]).ended(0);
    assert_eq!(host.engine.mirrors(), [registry.url()]);
    registry.stop();
    host.run(&["apply"]).ended(0);
    assert!(host.engine.mirrors().is_empty());
    assert!(host.engine.text().unwrap().contains("[]"), "{:?}", host.engine.text());
}

#[test]
fn a_dry_run_that_would_leave_the_list_as_it_is_is_0_and_an_apply_that_does_is_1() {
    let (registry, upstream) = (healthy(), at_speed(1_000_000));
    let host = Host::new(&Toml::of(&[("A", &registry)]).upstream(&upstream.url()));
    host.run(&["apply"]).ended(0);
    let server_error = || Fault::everywhere(Act::server_error(503));
    let nothing_live =
        ["no mirror is live and the upstream does not answer", "没有可用的镜像源，上游也没有响应"];
    let network_down = ["nobody who was asked answered, so nothing was changed", "本机网络似乎不通"];
    let down = || [&registry, &upstream].into_iter().for_each(Registry::stop);
    let ill = || [&registry, &upstream].into_iter().for_each(|one| one.set_fault(server_error()));
    for (happens, why) in [(&ill as &dyn Fn(), nothing_live), (&down, network_down)] {
        happens();
        for (lang, why) in ["en", "zh"].into_iter().zip(why) {
            let said = host.run(&["apply", "--dry-run", "--lang", lang]).ended(0);
            assert_eq!(said.out, "", "nothing to write, no diff");
            assert!(said.err.contains(why), "{}", said.err);
            let said = host.run(&["apply", "--lang", lang]).ended(1);
            assert!(said.err.contains(why), "{}", said.err);
        }
        for (arguments, code, in_place) in
            [(&["apply", "--dry-run", "--json"][..], 0, Value::Null), (&["apply", "--json"], 1, json!(false))]
        {
            let report = host.run(arguments).ended(code).json();
            assert_eq!(
                (&report["in_place"], &report["changed"], &report["list"]),
                (&in_place, &json!(false), &json!([registry.url()])),
                "{arguments:?}"
            );
            assert_eq!(report["mirrors"][0]["verdict"], "rejected", "{report:#}");
        }
    }
    assert_eq!(host.engine.mirrors(), [registry.url()]);
}

#[test]
fn an_entry_to_keep_that_ends_the_verification_of_all_others_is_said_on_the_containerd_store() {
    let (own, a) = (healthy(), at_speed(4_000_000));
    for containerd in [true, false] {
        let mut toml = Toml::of(&[("A", &a)]);
        toml.docker = format!("keep = [\"https://own.example\", \"{}\"]\n", own.url());
        let host = Host::new(&toml);
        if containerd {
            host.engine.use_containerd();
        }
        for (lang, words) in [("en", "without verifying who answers"), ("zh", "不再验证")] {
            let errors = host.run(&["apply", "--dry-run", "--lang", lang]).ended(0).err;
            assert_eq!(errors.contains(words) && errors.contains(&own.url()), containerd, "{errors}");
            assert!(!errors.contains("own.example"), "that one is verified: {errors}");
        }
        let _service = host.serve();
        let status = host.wait_for_status("the engine", |status| !status["engines"][0]["mirrors"].is_null());
        let warnings = status["engines"][0]["warnings"].as_array().unwrap();
        let said = warnings.iter().find(|warning| warning["kind"] == "tls_unverified");
        assert_eq!(said.map(|warning| &warning["detail"]), containerd.then_some(&json!(own.url())));
    }
}
