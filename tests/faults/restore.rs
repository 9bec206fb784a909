//! What can be restored, and how it is shown.

use crate::scene::{FILE, Scene};

#[test]
fn every_write_can_be_undone_and_the_list_of_them_is_shown_in_both_languages() {
    let scene = Scene::new();
    let nothing = scene.run(&["restore", "--list"]).ended(0, "there is nothing to restore");
    assert_eq!(nothing.out, "");
    for which in [0, 1] {
        scene.want(which);
        scene.apply().ended(0, "In place");
    }
    let shown = |lang: &str| {
        let said = scene.run(&["restore", "--list", "--lang", lang]).ended(0, "restore --to N");
        // The moments differ from run to run; everything else does not.
        let like = |word: &str, form: &str| {
            let same = |(a, b): (char, char)| if b == '0' { a.is_ascii_digit() } else { a == b };
            word.len() == form.len() && word.chars().zip(form.chars()).all(same)
        };
        let moment = |word: &str| like(word, "0000-00-00") || like(word, "00:00:00");
        let line = |line: &str| {
            line.split_whitespace()
                .map(|word| if moment(word) { "WHEN" } else { word })
                .collect::<Vec<_>>()
                .join(" ")
        };
        said.out.lines().map(line).collect::<Vec<_>>().join("\n")
    };
    let size = FILE
        .replace("https://old.example/", &scene.url(0))
        .replace(",\n  \"https://older.example\"", "")
        .len();
    let (first, second) = ("https://old.example/ https://older.example", scene.url(0));
    let rows =
        format!("0 WHEN WHEN {0} {first}\n1 WHEN WHEN {0} {first}\n2 WHEN WHEN {size} {second}", FILE.len());
    assert_eq!(shown("en"), format!("N KEPT AT (UTC) BYTES LIST\n{rows}"));
    assert_eq!(shown("zh"), format!("编号 保存时间（UTC） 字节 列表\n{rows}"));

    scene.run(&["restore", "--to", "3"]).ended(1, "there is no state 3; kept are 0 to 2");
    scene.run(&["restore", "--list", "--to", "1"]).ended(2, "");
    scene
        .run(&["restore", "--to", "2", "--dry-run"])
        .ended(0, &format!("+    \"registry-mirrors\": [\"{second}\""));
    scene.run(&["restore", "--to", "2"]).ended(0, "Restored what was there before write 2");
    assert!(scene.has(0));
    scene.run(&["restore", "--to", "2"]).ended(0, "Nothing to change");
    scene.run(&["restore", "--to", "1", "--lang", "zh"]).ended(0, "已恢复为第 1 次写入之前的内容");
    assert_eq!(scene.daemon.text().as_deref(), Some(FILE));
    // The pause that every restore begins is said to whoever applies again.
    scene.apply().ended(0, "mirrorwatch resume");
    for turn in 0..12 {
        scene.want(turn % 2);
        scene.apply().ended(0, "");
    }
    let kept = scene.run(&["restore", "--list"]).ended(0, "").out;
    assert_eq!(kept.lines().count(), 12, "{kept}");
    scene.run(&["restore"]).ended(0, "Restored");
    assert_eq!(scene.daemon.text().as_deref(), Some(FILE));
}
