//! Every word for people, in English and in Chinese, in one place.
//!
//! `messages!` takes both languages at once, so a missing translation does not compile. Each part of the
//! program has its messages in a file of its own below this one. Keys, JSON and logs are English always
//! and do not pass through here.

use std::str::FromStr;

pub mod advice;
pub mod cli;
pub mod config;
pub mod detail;
pub mod engine;
#[cfg(test)]
mod guard;
pub mod history;
pub mod probe;
pub mod reason;
pub mod round;
pub mod status;
pub mod store;
pub mod why;

/// The language of text for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// 简体中文.
    Zh,
}

impl Lang {
    /// The language that a locale such as `zh_CN.UTF-8` asks for; English unless it is Chinese.
    pub fn of_locale(locale: &str) -> Self {
        if locale.to_ascii_lowercase().starts_with("zh") { Self::Zh } else { Self::En }
    }
}

impl FromStr for Lang {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "en" => Ok(Self::En),
            "zh" => Ok(Self::Zh),
            _ => Err(()),
        }
    }
}

/// Declares messages: `name(arg: Type, …) { "English {arg}", "中文 {arg}" }`.
macro_rules! messages {
    ($($(#[$meta:meta])* $name:ident($($arg:ident: $type:ty),* $(,)?) { $en:literal, $zh:literal $(,)? })+) => {
        $(
            $(#[$meta])*
            pub fn $name(lang: $crate::text::Lang, $($arg: $type),*) -> String {
                match lang {
                    $crate::text::Lang::En => format!($en),
                    $crate::text::Lang::Zh => format!($zh),
                }
            }
        )+
    };
}
pub(crate) use messages;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// Chinese puts a blank between its own characters and others: in front of a length of time, which begins with a
    /// digit, and not behind it, where its unit stands.
    #[test]
    fn behind_a_length_of_time_in_chinese_no_blank_is_left() {
        let words = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/text")).unwrap();
        for words in words.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()) {
            for line in words.lines() {
                for (at, end) in ["{age} ", "{left} ", "{length} ", "{minute} "]
                    .iter()
                    .flat_map(|time| line.match_indices(time))
                    .map(|(at, time)| (at, at + time.len()))
                {
                    let is_chinese = |text: &str| text.chars().next().is_some_and(|c| !c.is_ascii());
                    assert!(!is_chinese(&line[end..]), "{}", &line[at..]);
                }
            }
        }
    }

    /// One thing has one name, and what is written here is another name for it that was in use.
    #[test]
    fn one_thing_has_one_name_in_chinese() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let words = fs::read_dir(root.join("src/text")).unwrap().map(|file| file.unwrap().path());
        for path in words.chain(["README.zh-CN.md", "mirrors.toml"].map(|file| root.join(file))) {
            let text = fs::read_to_string(&path).unwrap();
            for (other, name) in [
                ("完整探测", "演练"),
                ("完整模拟", "演练"),
                ("询问过", "请求过"),
                ("已询问", "已请求"),
                ("抱怨", "失败"),
                ("离开了哪个", "放弃了哪个"),
                ("为何离开", "为何放弃"),
                ("更新版本的", "更高版本的"),
                ("没有接受新列表", "没有采用新列表"),
                ("比官方", "比上游"),
                ("文本列表", "字符串列表"),
                ("的\n  socket", "的\n  套接字"),
            ] {
                assert!(!text.contains(other), "{}: {other} is called {name}", path.display());
            }
        }
    }
}
