//! What is wrong with an engine, why that matters, and what to type.
//!
//! Each entry has all three in both languages, or it does not compile. The detail of a problem (path, act,
//! cause) is English and is printed beside these by whoever shows it.

use crate::reason::{ProblemKind, WarningKind};
use crate::text::Lang;

/// A finding for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advice {
    /// What is the matter, in one clause without a full stop.
    pub what: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// What mends it: a command where there is one.
    pub mend: &'static str,
}

/// What, why and mend in English, and again in Chinese.
type Both = [[&'static str; 3]; 2];

/// How much of an advice is told beside the detail of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Beside {
    /// The detail says what is the matter, and why it matters.
    Nothing,
    /// The detail says what is the matter.
    Why,
    /// The detail is a path and what the system says of it, perhaps.
    WhatAndWhy,
}

/// How much is left to be said beside the detail, where both are shown one below the other.
pub const fn beside(kind: ProblemKind) -> Beside {
    match kind {
        ProblemKind::Locked
        | ProblemKind::NotPermitted
        | ProblemKind::NotTaken
        | ProblemKind::ReloadBug
        | ProblemKind::RollbackFailed => Beside::Why,
        ProblemKind::AuthorizationPlugins
        | ProblemKind::FlagConflict
        | ProblemKind::Overridden
        | ProblemKind::PendingEdits
        | ProblemKind::Raced => Beside::Nothing,
        ProblemKind::Applier
        | ProblemKind::AnotherUsers
        | ProblemKind::BrokenFile
        | ProblemKind::CannotStart
        | ProblemKind::Contested
        | ProblemKind::FlagsReset
        | ProblemKind::GivenUp
        | ProblemKind::InsideAnApp
        | ProblemKind::NoAnswer
        | ProblemKind::NotEditable
        | ProblemKind::NotRunning
        | ProblemKind::ReloadFailed
        | ProblemKind::ReloadsSpent
        | ProblemKind::Unreadable
        | ProblemKind::Unwritable
        | ProblemKind::ValidationFailed => Beside::WhatAndWhy,
    }
}

/// What a problem means and what to do about it.
pub fn problem(lang: Lang, kind: ProblemKind) -> Advice {
    advice(
        lang,
        match kind {
            ProblemKind::NotRunning => NOT_RUNNING,
            ProblemKind::GivenUp => GIVEN_UP,
            ProblemKind::CannotStart => CANNOT_START,
            ProblemKind::NoAnswer => NO_ANSWER,
            ProblemKind::NotPermitted => NOT_PERMITTED,
            ProblemKind::BrokenFile => BROKEN_FILE,
            ProblemKind::NotEditable => NOT_EDITABLE,
            ProblemKind::Unreadable => UNREADABLE,
            ProblemKind::Unwritable => UNWRITABLE,
            ProblemKind::FlagConflict => FLAG_CONFLICT,
            ProblemKind::AuthorizationPlugins => AUTHORIZATION_PLUGINS,
            ProblemKind::ReloadBug => RELOAD_BUG,
            ProblemKind::FlagsReset => FLAGS_RESET,
            ProblemKind::Overridden => OVERRIDDEN,
            ProblemKind::InsideAnApp => INSIDE_AN_APP,
            ProblemKind::AnotherUsers => ANOTHER_USERS,
            ProblemKind::ValidationFailed => VALIDATION_FAILED,
            ProblemKind::Raced => RACED,
            ProblemKind::ReloadFailed => RELOAD_FAILED,
            ProblemKind::NotTaken => NOT_TAKEN,
            ProblemKind::RollbackFailed => ROLLBACK_FAILED,
            ProblemKind::Locked => LOCKED,
            ProblemKind::PendingEdits => PENDING_EDITS_WAIT,
            ProblemKind::Contested => CONTESTED,
            ProblemKind::ReloadsSpent => RELOADS_SPENT,
            ProblemKind::Applier => APPLIER,
        },
    )
}

/// The same where no service is at work that would come back to it later: it is stopped, or paused.
pub fn idle(lang: Lang, kind: ProblemKind) -> Advice {
    let once = once(lang, kind);
    match kind {
        ProblemKind::BrokenFile => Advice { mend: one(lang, CORRECT_IT), ..once },
        ProblemKind::NotEditable => Advice { mend: one(lang, MAKE_IT_CLEAR), ..once },
        ProblemKind::ReloadsSpent => {
            Advice { why: one(lang, OFTEN_ENOUGH), mend: one(lang, RAISE_RELOADS), ..once }
        }
        ProblemKind::Locked => once,
        ProblemKind::NotRunning
        | ProblemKind::GivenUp
        | ProblemKind::CannotStart
        | ProblemKind::NoAnswer
        | ProblemKind::NotPermitted
        | ProblemKind::Unreadable
        | ProblemKind::Unwritable
        | ProblemKind::FlagConflict
        | ProblemKind::AuthorizationPlugins
        | ProblemKind::ReloadBug
        | ProblemKind::FlagsReset
        | ProblemKind::Overridden
        | ProblemKind::InsideAnApp
        | ProblemKind::AnotherUsers
        | ProblemKind::ValidationFailed
        | ProblemKind::Raced
        | ProblemKind::ReloadFailed
        | ProblemKind::NotTaken
        | ProblemKind::RollbackFailed
        | ProblemKind::PendingEdits
        | ProblemKind::Contested
        | ProblemKind::Applier => Advice { mend: problem(lang, kind).mend, ..once },
    }
}

const CORRECT_IT: [&str; 2] =
    ["correct it at the line and column that are named", "按给出的行号和列号修正该文件"];

const MAKE_IT_CLEAR: [&str; 2] =
    ["make it unambiguous at the place that is named", "在给出的位置改得明确无误"];

const OFTEN_ENOUGH: [&str; 2] = ["a list that changes so often helps nobody", "列表变动过于频繁并无益处"];

const RAISE_RELOADS: [&str; 2] = [
    "raise reloads_per_day in [budget]; sudo mirrorwatch apply acts at once",
    "调大 [budget] 里的 reloads_per_day；sudo mirrorwatch apply 会立即生效",
];

/// The same for a command that acts once and ends: nobody comes back to do it later.
pub fn once(lang: Lang, kind: ProblemKind) -> Advice {
    let again = match kind {
        ProblemKind::NotRunning => NOT_RUNNING_ONCE,
        ProblemKind::GivenUp => GIVEN_UP_ONCE,
        ProblemKind::CannotStart => CANNOT_START_ONCE,
        ProblemKind::BrokenFile => BROKEN_FILE_ONCE,
        ProblemKind::NotEditable => NOT_EDITABLE_ONCE,
        ProblemKind::Raced => RACED_ONCE,
        ProblemKind::Locked => LOCKED_ONCE,
        ProblemKind::NotPermitted => NOT_PERMITTED_ONCE,
        ProblemKind::NoAnswer
        | ProblemKind::Contested
        | ProblemKind::ReloadsSpent
        | ProblemKind::Applier
        | ProblemKind::Unreadable
        | ProblemKind::Unwritable
        | ProblemKind::FlagConflict
        | ProblemKind::AuthorizationPlugins
        | ProblemKind::ReloadBug
        | ProblemKind::FlagsReset
        | ProblemKind::Overridden
        | ProblemKind::InsideAnApp
        | ProblemKind::AnotherUsers
        | ProblemKind::ValidationFailed
        | ProblemKind::ReloadFailed
        | ProblemKind::NotTaken
        | ProblemKind::PendingEdits
        | ProblemKind::RollbackFailed => return problem(lang, kind),
    };
    let [why, mend] = one(lang, again);
    Advice { why, mend, ..problem(lang, kind) }
}

fn one<T>(lang: Lang, [en, zh]: [T; 2]) -> T {
    match lang {
        Lang::En => en,
        Lang::Zh => zh,
    }
}

const NOT_RUNNING_ONCE: [[&str; 2]; 2] = [
    ["nothing is written while it is down", "sudo systemctl start docker, then the same command again"],
    ["Docker 停止期间不写入任何内容", "sudo systemctl start docker，然后重新执行本命令"],
];

const GIVEN_UP_ONCE: [[&str; 2]; 2] = [
    [
        "nothing is written while it is down; journalctl -u docker says why it failed",
        "sudo systemctl reset-failed docker.service docker.socket && sudo systemctl start docker, then the same command again",
    ],
    [
        "Docker 停止期间不写入任何内容；启动失败的原因见 journalctl -u docker",
        "sudo systemctl reset-failed docker.service docker.socket && sudo systemctl start docker，然后重新执行本命令",
    ],
];

const CANNOT_START_ONCE: [[&str; 2]; 2] = [
    [
        "nothing is written while it is down, and the file is left for you to mend, never overwritten",
        "correct it at the line and column that are named, then: sudo systemctl reset-failed docker.service docker.socket; sudo systemctl start docker; then the same command again",
    ],
    [
        "Docker 停止期间不写入任何内容；mirrorwatch 不会覆盖该文件，需由你修正",
        "按给出的行号和列号修正该文件，然后执行：sudo systemctl reset-failed docker.service docker.socket; sudo systemctl start docker，再重新执行本命令",
    ],
];

const NOT_EDITABLE_ONCE: [[&str; 2]; 2] = [
    [
        "dockerd takes it as it is, and an edit would have to guess what is meant, so nothing is written",
        "make it unambiguous at the place that is named, then the same command again",
    ],
    [
        "dockerd 能读取它，但修改时只能猜测其本意，因此没有写入",
        "在给出的位置改得明确无误，然后重新执行本命令",
    ],
];

const BROKEN_FILE_ONCE: [[&str; 2]; 2] = [
    [
        "dockerd will not start with it the next time; it is left for you to mend, never overwritten",
        "correct it at the line and column that are named, then the same command again",
    ],
    [
        "dockerd 下次启动会因此失败；mirrorwatch 不会覆盖它，需由你修正",
        "按给出的行号和列号修正该文件，然后重新执行本命令",
    ],
];

const RACED_ONCE: [[&str; 2]; 2] = [
    [
        "its edit is not overwritten",
        "try again; if it goes on, find out who writes it: sudo inotifywait -m on the directory of the file that is named",
    ],
    [
        "mirrorwatch 不会覆盖它的修改",
        "请重试；如果一直出现，请查出是谁在写：对该文件所在目录执行 sudo inotifywait -m",
    ],
];

const LOCKED_ONCE: [[&str; 2]; 2] = [
    ["two at once would undo each other", "try again in a few seconds"],
    ["两个同时进行会互相覆盖", "请过几秒再试"],
];

/// What a warning means and what to do about it.
pub fn warning(lang: Lang, kind: WarningKind) -> Advice {
    advice(
        lang,
        match kind {
            WarningKind::LoginLeaks => LOGIN_LEAKS,
            WarningKind::TlsUnverified => TLS_UNVERIFIED,
            WarningKind::BuildNeedsRestart => BUILD_NEEDS_RESTART,
            WarningKind::FlagsReset => FLAGS_RESET,
            WarningKind::PendingEdits => PENDING_EDITS,
            WarningKind::ListEdited => LIST_EDITED,
            WarningKind::MisspeltKey => MISSPELT_KEY,
            WarningKind::ProxyHidden => PROXY_HIDDEN,
            WarningKind::StateFull => STATE_FULL,
        },
    )
}

/// The same for a command that is about to reload.
pub fn warning_once(lang: Lang, kind: WarningKind) -> Advice {
    match kind {
        WarningKind::PendingEdits => advice(lang, PENDING_EDITS_ONCE),
        WarningKind::LoginLeaks
        | WarningKind::TlsUnverified
        | WarningKind::BuildNeedsRestart
        | WarningKind::FlagsReset
        | WarningKind::ListEdited
        | WarningKind::MisspeltKey
        | WarningKind::ProxyHidden
        | WarningKind::StateFull => warning(lang, kind),
    }
}

fn advice(lang: Lang, both: Both) -> Advice {
    let [what, why, mend] = one(lang, both);
    Advice { what, why, mend }
}

const NOT_RUNNING: Both = [
    [
        "Docker is not running",
        "nothing is written while it is down; the list is applied as soon as it is up",
        "sudo systemctl start docker",
    ],
    [
        "Docker 没有运行",
        "Docker 停止期间不写入任何内容，等它启动后会立即应用镜像源列表",
        "sudo systemctl start docker",
    ],
];

const GIVEN_UP: Both = [
    [
        "Docker is not running, and systemd has given it up",
        "it failed too often, and journalctl -u docker says why; the list is applied as soon as it is up",
        "sudo systemctl reset-failed docker.service docker.socket && sudo systemctl start docker",
    ],
    [
        "Docker 没有运行，systemd 已放弃启动它",
        "它多次启动失败，原因见 journalctl -u docker；等它启动后会立即应用镜像源列表",
        "sudo systemctl reset-failed docker.service docker.socket && sudo systemctl start docker",
    ],
];

const CANNOT_START: Both = [
    [
        "Docker is not running, and does not start with its configuration file as it is",
        "nothing is written while it is down, and the file is left for you to mend, never overwritten; the list is applied as soon as it is up",
        "correct it at the line and column that are named, then: sudo systemctl reset-failed docker.service docker.socket; sudo systemctl start docker",
    ],
    [
        "Docker 没有运行，而且无法用现在的配置文件启动",
        "Docker 停止期间不写入任何内容；mirrorwatch 不会覆盖该文件，需由你修正；等它启动后会立即应用镜像源列表",
        "按给出的行号和列号修正该文件，然后执行：sudo systemctl reset-failed docker.service docker.socket; sudo systemctl start docker",
    ],
];

const NO_ANSWER: Both = [
    [
        "Docker's socket does not answer as dockerd does",
        "what the engine has cannot be proven, so nothing is changed",
        "see what it is doing: sudo journalctl -u docker -n 50; `socket` in [engine.docker] sets another socket",
    ],
    [
        "Docker 套接字没有给出 dockerd 应有的应答",
        "无法确认引擎的实际配置，因此不做任何改动",
        "查看它在做什么：sudo journalctl -u docker -n 50；套接字路径可在 [engine.docker] 的 `socket` 中设置",
    ],
];

const NOT_PERMITTED: Both = [
    [
        "not permitted",
        "Docker's configuration and its socket belong to root, and the service replaces none but root's own file: it could not give it back to another",
        "see ls -l on the path that is named; if nobody else needs it: sudo chown root:root on it, then sudo systemctl reload docker && sudo systemctl restart mirrorwatch; by hand: sudo mirrorwatch apply",
    ],
    [
        "权限不足",
        "Docker 的配置文件和套接字归 root 所有；服务只替换属于 root 的文件，否则无法归还给原来的所有者",
        "用 ls -l 检查给出的路径；若无他人需要，对其执行 sudo chown root:root，再执行 sudo systemctl reload docker && sudo systemctl restart mirrorwatch；也可手动执行：sudo mirrorwatch apply",
    ],
];

const NOT_PERMITTED_ONCE: [[&str; 2]; 2] = [
    ["Docker's configuration and its socket belong to root", "run the same command with sudo"],
    ["Docker 的配置文件和套接字归 root 所有", "在命令前加上 sudo 再执行"],
];

const BROKEN_FILE: Both = [
    [
        "Docker's configuration file is not valid",
        "dockerd will not start with it the next time; it is left for you to mend, never overwritten",
        "correct it at the line and column that are named; the list is applied afterwards",
    ],
    [
        "Docker 的配置文件无效",
        "dockerd 下次启动会因此失败；mirrorwatch 不会覆盖它，需由你修正",
        "按给出的行号和列号修正该文件，之后会应用镜像源列表",
    ],
];

const NOT_EDITABLE: Both = [
    [
        "Docker's configuration file cannot be edited without guessing",
        "dockerd takes it as it is, and an edit would have to guess what is meant, so nothing is written",
        "make it unambiguous at the place that is named; the list is applied afterwards",
    ],
    [
        "Docker 的配置文件有歧义，无法安全修改",
        "dockerd 能读取它，但修改时只能猜测其本意，因此没有写入",
        "在给出的位置改得明确无误，之后会应用镜像源列表",
    ],
];

const UNREADABLE: Both = [
    [
        "Docker's configuration file cannot be read",
        "what cannot be read cannot be edited without losing what is in it",
        "look at the path that is named, and at its directory: sudo ls -ldL",
    ],
    [
        "无法读取 Docker 的配置文件",
        "读不到原有内容，就无法保证修改时不丢失其中的设置",
        "检查给出的路径及其所在目录：sudo ls -ldL",
    ],
];

const UNWRITABLE: Both = [
    [
        "the place cannot be written safely",
        "a file is only ever replaced as a whole, so that a crash never leaves half of it",
        "see which it is: findmnt -T, lsattr, df -h and ls -l on the path that is named; a directory besides /etc/docker must be in ReadWritePaths: sudo systemctl edit mirrorwatch-apply.service; then: sudo systemctl restart mirrorwatch",
    ],
    [
        "该位置无法安全写入",
        "文件只会整体原子替换，这样即使崩溃也不会留下半截内容",
        "用 findmnt -T、lsattr、df -h、ls -l 检查给出的路径，找出原因；/etc/docker 以外的目录须列入 ReadWritePaths：sudo systemctl edit mirrorwatch-apply.service；之后执行：sudo systemctl restart mirrorwatch",
    ],
];

const FLAG_CONFLICT: Both = [
    [
        "dockerd was started with a --registry-mirror flag",
        "with the flag and the file's key together it does not start, so nothing is written",
        "take the flag out of the unit or of /etc/default/docker (sudo systemctl cat docker shows it) and restart Docker when it suits you",
    ],
    [
        "dockerd 启动时带有 --registry-mirror 参数",
        "该参数与配置文件中的 registry-mirrors 并存时 dockerd 无法启动，因此没有写入",
        "从服务单元或 /etc/default/docker 中去掉该参数（可用 sudo systemctl cat docker 查看），并在方便时重启 Docker",
    ],
];

const AUTHORIZATION_PLUGINS: Both = [
    [
        "Docker runs with authorization plugins",
        "a reload switches off those that were given as a flag, and ends dockerd, perhaps with containers, if one in the file fails to load",
        "write the list yourself at Docker's next planned restart; to move the plugins from the flag to the file is no way out, to do without them is",
    ],
    [
        "Docker 启用了授权插件",
        "重载会停用以启动参数指定的插件；配置文件中的插件只要有一个加载失败，dockerd 就会退出，容器也可能随之停止",
        "请在下次计划重启 Docker 时手动写入镜像源列表；把插件从启动参数移到配置文件并不能解决，停用插件才可以",
    ],
];

const RELOAD_BUG: Both = [
    [
        "this version of dockerd forgets insecure-registries at a reload",
        "pulls from those registries would fail until Docker's next start (moby#45552)",
        "upgrade Docker to 23.0.7, 24.0.1 or later",
    ],
    [
        "这个版本的 dockerd 在重载后会丢失 insecure-registries",
        "在 Docker 下次启动之前，从这些仓库拉取都会失败（moby#45552）",
        "将 Docker 升级到 23.0.7、24.0.1 或更新的版本",
    ],
];

const FLAGS_RESET: Both = [
    [
        "a reload resets what dockerd was told by these flags",
        "after any reload, whoever asks for it, the file or the default counts until the next start",
        "move them from dockerd's command line into its configuration file",
    ],
    [
        "重载会重置 dockerd 这些命令行参数设定的值",
        "无论由谁触发，重载后都以配置文件或默认值为准，直到下次启动",
        "把这些参数从 dockerd 的命令行移到配置文件中",
    ],
];

const OVERRIDDEN: Both = [
    [
        "a hosts.toml overrides Docker's list of mirrors",
        "with the containerd image store dockerd takes mirrors from there and ignores registry-mirrors",
        "remove the file that is named, or keep it and set enabled = false in [engine.docker]",
    ],
    [
        "hosts.toml 覆盖了 Docker 的镜像源列表",
        "使用 containerd 镜像存储时，dockerd 以 hosts.toml 为准，忽略 registry-mirrors",
        "删除给出的文件；若要保留它，请在 [engine.docker] 中设置 enabled = false",
    ],
];

const INSIDE_AN_APP: Both = [
    [
        "this Docker is a part of an application, which alone configures it",
        "what is written past the application is lost or never read, and only it can restart its engine",
        "see what to paste, and where: mirrorwatch apply --dry-run",
    ],
    [
        "这个 Docker 属于某个应用程序，只能由该程序配置",
        "绕过该程序写入的内容会丢失或根本不会被读取，而且只有它能重启其引擎",
        "查看要粘贴的内容和位置：mirrorwatch apply --dry-run",
    ],
];

const ANOTHER_USERS: Both = [
    [
        "what answers as Docker belongs to another user",
        "where its file is and what program it is, that user says, and anything could be written and run in that way",
        "run mirrorwatch as that user, who needs no sudo for it; or set `socket` in [engine.docker] to the Docker that is meant",
    ],
    [
        "应答的 Docker 属于另一个用户",
        "其配置文件的位置和程序均由该用户决定，照此写入或执行可能造成任何后果",
        "以该用户身份运行 mirrorwatch（无需 sudo）；或在 [engine.docker] 的 `socket` 中指定真正要配置的 Docker",
    ],
];

const VALIDATION_FAILED: Both = [
    [
        "dockerd would not start with the new file",
        "a file like that breaks Docker at the next boot, so it was not written",
        "mend what is named in the file, then: sudo mirrorwatch apply",
    ],
    [
        "dockerd 无法用新的配置文件启动",
        "写入这样的文件会使 Docker 在下次开机时启动失败，因此没有写入",
        "修正文件中指出的问题，然后执行：sudo mirrorwatch apply",
    ],
];

const RACED: Both = [
    [
        "another program wrote the file at the same moment",
        "its edit is not overwritten; the next round tries again",
        "if it goes on, find out who writes it: sudo inotifywait -m on the directory of the file that is named",
    ],
    [
        "另一个程序在同一时刻写了这个文件",
        "mirrorwatch 不会覆盖它的修改，下一轮会重试",
        "如果一直出现，请查出是谁在写：对该文件所在目录执行 sudo inotifywait -m",
    ],
];

const RELOAD_FAILED: Both = [
    [
        "dockerd could not be asked to reload",
        "it goes on with the old list; a new one left in the file would come as a surprise at its next start, so none is left there",
        "see whether the command that is named works when you type it, else this: sudo systemctl reload docker; `reload` in [engine.docker] sets another way",
    ],
    [
        "无法通知 dockerd 重载",
        "它会继续使用旧列表；若把新列表留在文件中，会在下次启动时突然生效，因此没有保留",
        "手动执行给出的命令，看是否可用；没有给出时执行：sudo systemctl reload docker；其他方式可在 [engine.docker] 的 `reload` 中设置",
    ],
];

const NOT_TAKEN: Both = [
    [
        "dockerd did not take the new list",
        "a file that dockerd refuses would keep it from starting at the next boot",
        "see the reason in its log: sudo journalctl -u docker -n 20",
    ],
    [
        "dockerd 没有采用新列表",
        "留下 dockerd 拒绝的文件会使它在下次开机时无法启动",
        "在日志中查看原因：sudo journalctl -u docker -n 20",
    ],
];

const ROLLBACK_FAILED: Both = [
    [
        "dockerd did not take the new list, and the old file could not be put back",
        "Docker runs on as before, and may not start at the next boot",
        "copy the bytes back from where the message says they are, then: sudo systemctl reload docker",
    ],
    [
        "dockerd 没有采用新列表，原来的文件也未能恢复",
        "Docker 目前照常运行，但下次开机可能无法启动",
        "从上面给出的备份位置把文件复制回去，然后执行：sudo systemctl reload docker",
    ],
];

const LOCKED: Both = [
    [
        "another mirrorwatch is applying right now",
        "two at once would undo each other",
        "try again in a few seconds; a running service tries again by itself",
    ],
    ["另一个 mirrorwatch 正在应用列表", "两个同时进行会互相覆盖", "过几秒再试；正在运行的服务会自动重试"],
];

const RELOADS_SPENT: Both = [
    [
        "the engine was reloaded as often as it may be in 24 hours",
        "a list that changes so often helps nobody; a mirror at the head that dies is still replaced at once",
        "wait, or raise reloads_per_day in [budget]; sudo mirrorwatch apply acts at once",
    ],
    [
        "24 小时内引擎重载次数已用完",
        "列表变动过于频繁并无益处；排在首位的镜像源一旦失效，仍会立即更换",
        "请等待，或调大 [budget] 里的 reloads_per_day；sudo mirrorwatch apply 会立即生效",
    ],
];

const APPLIER: Both = [
    [
        "the part of mirrorwatch that writes did not do what it was asked",
        "Docker keeps the list it has: the service itself may not write it, mirrorwatch-apply does, and takes nothing but mirrors of mirrors.toml",
        "sudo systemctl restart mirrorwatch, which starts mirrorwatch-apply.path too; if it stays so: systemctl status mirrorwatch-apply.path mirrorwatch-apply.service; by hand: sudo mirrorwatch apply",
    ],
    [
        "mirrorwatch 负责写入的部分没有完成请求",
        "Docker 仍使用现有列表：服务本身无权写入，由 mirrorwatch-apply 写入，且只接受 mirrors.toml 中的镜像源",
        "sudo systemctl restart mirrorwatch（会一并启动 mirrorwatch-apply.path）；若仍如此：systemctl status mirrorwatch-apply.path mirrorwatch-apply.service；也可手动执行：sudo mirrorwatch apply",
    ],
];

const PENDING_EDITS_WAIT: Both = [
    [
        "somebody edited the file, and Docker has not taken those edits yet",
        "a reload would activate them together with the list, and whether and when is not for mirrorwatch to say",
        "see that they are meant, then: sudo systemctl reload docker; or let this program do it: sudo mirrorwatch apply --with-pending, and for the service with_pending = true in [engine.docker]",
    ],
    [
        "有人修改过该文件，而 Docker 尚未使这些修改生效",
        "重载会让它们与列表一并生效，是否以及何时生效不应由 mirrorwatch 决定",
        "确认这些修改无误后执行：sudo systemctl reload docker；也可由本程序一并生效：sudo mirrorwatch apply --with-pending，服务则在 [engine.docker] 中设置 with_pending = true",
    ],
];

const CONTESTED: Both = [
    [
        "another program keeps rewriting the list",
        "two that undo each other would reload dockerd without end, so the service has stopped writing for an hour",
        "find what else writes daemon.json and switch its mirrors off; then: sudo mirrorwatch apply",
    ],
    [
        "另一个程序反复改写列表",
        "互相覆盖会让 dockerd 不停重载，因此服务在一小时内不再写入",
        "找出还有什么程序在写 daemon.json，关闭其镜像源设置，然后执行：sudo mirrorwatch apply",
    ],
];

const LOGIN_LEAKS: Both = [
    [
        "this host is logged in to Docker Hub",
        "dockerd's classic image store sends that login to any mirror that asks for one",
        "docker logout, or log in with a token that may only read public images",
    ],
    [
        "本机已登录 Docker Hub",
        "dockerd 的传统镜像存储会把登录凭据发给任何索要凭据的镜像源",
        "执行 docker logout，或改用只能读取公开镜像的令牌登录",
    ],
];

const TLS_UNVERIFIED: Both = [
    [
        "`keep` in [engine.docker] has plain http or loopback entries",
        "with one in the list, dockerd's containerd image store asks all other mirrors and Docker Hub without verifying who answers",
        "remove them from `keep`, or put an https address with a trusted certificate in their place, one that is not loopback",
    ],
    [
        "[engine.docker] 的 `keep` 中有 http 或本机回环地址",
        "列表中只要有一个，dockerd 的 containerd 镜像存储访问其他镜像源和 Docker Hub 时也不再验证对方的证书",
        "从 `keep` 中删除，或换成证书受信任、且不是本机回环的 https 地址",
    ],
];

const BUILD_NEEDS_RESTART: Both = [
    [
        "docker build keeps the list that Docker was started with",
        "up to Docker 24 only docker pull and docker run see a new list at once",
        "nothing to do for pulls; builds see it after Docker's next start, or with Docker 25 and later",
    ],
    [
        "docker build 仍使用 Docker 启动时的列表",
        "在 Docker 24 及更早的版本中，只有 docker pull 和 docker run 会立即使用新列表",
        "拉取无需处理；构建要到 Docker 下次启动后才会生效，或升级到 Docker 25 及以上版本",
    ],
];

const PENDING_EDITS: Both = [
    [
        "the file has edits that dockerd has not taken yet",
        "any reload activates them too, so the list is changed before they are taken only with with_pending = true or reload = \"none\" in [engine.docker]",
        "see that they are meant, then: sudo systemctl reload docker",
    ],
    [
        "配置文件中有 dockerd 尚未生效的修改",
        "任何重载都会让它们一并生效，因此只有在 [engine.docker] 中设置了 with_pending = true 或 reload = \"none\" 时，才会在它们生效之前更换列表",
        "确认这些修改无误后执行：sudo systemctl reload docker",
    ],
];

const PENDING_EDITS_ONCE: Both = [
    [
        "the file has edits that dockerd has not taken yet",
        "the reload activates them too",
        "check that they are meant: compare the file with docker info",
    ],
    [
        "配置文件中有 dockerd 尚未生效的修改",
        "重载会让它们一并生效",
        "请确认这些修改确实是你想要的：与 docker info 的输出对照",
    ],
];

const LIST_EDITED: Both = [
    [
        "the file lists other mirrors than Docker uses",
        "Docker goes by the file at its next start at the latest, and only then does the service put its own list back",
        "to put it right now: sudo mirrorwatch apply; what is to stay in the list belongs in `keep` in [engine.docker]; to have the list left alone: sudo mirrorwatch pause",
    ],
    [
        "配置文件中的镜像源列表与 Docker 正在使用的不同",
        "Docker 最迟在下次启动时改用文件中的列表，服务要到那时才会恢复自己的列表",
        "立即恢复：sudo mirrorwatch apply；要一直保留的地址请写入 [engine.docker] 的 `keep`；不想让服务改动列表：sudo mirrorwatch pause",
    ],
];

const MISSPELT_KEY: Both = [
    [
        "the file has the key `registry-mirror`",
        "dockerd ignores it in silence; the key is `registry-mirrors`",
        "remove it; its entries can go into mirrors.toml: mirrorwatch add URL",
    ],
    [
        "配置文件中写成了 `registry-mirror`",
        "dockerd 会默默忽略它，正确的键是 `registry-mirrors`",
        "删除这一项；其中的地址可加入 mirrors.toml：mirrorwatch add URL",
    ],
];

const PROXY_HIDDEN: Both = [
    [
        "the password of dockerd's proxy cannot be read",
        "probes go through that proxy without one, and may all be refused",
        "run as root, or set `proxy` in [probe] to the whole URL",
    ],
    [
        "无法读取 dockerd 所用代理的密码",
        "探测只能不带密码经过该代理，可能全部被拒绝",
        "以 root 身份运行，或在 [probe] 的 `proxy` 中写明完整地址",
    ],
];

const STATE_FULL: Both = [
    [
        "the disk on which the old lists are kept is full",
        "the list is still kept up in the room that was set aside; without that, nothing is changed that could not be put back",
        "make room there: see df -h and df -i on the path that is named",
    ],
    [
        "保存旧列表的磁盘已满",
        "目前靠预留空间继续更新列表；预留空间用完后，无法还原的改动一律不做",
        "请在该处腾出空间：对给出的路径执行 df -h 和 df -i",
    ],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_ends_promises_nothing_for_later() {
        for kind in ProblemKind::ALL {
            let said = once(Lang::En, *kind);
            promises_nothing(*kind, said, &["as soon as", "next round", "by itself", "applied afterwards"]);
        }
    }

    #[test]
    fn where_no_service_is_at_work_nothing_is_promised_and_no_command_is_to_be_repeated() {
        for kind in ProblemKind::ALL {
            let promises =
                ["as soon as", "next round", "applied afterwards", "still replaced", "same command"];
            promises_nothing(*kind, idle(Lang::En, *kind), &promises);
            promises_nothing(*kind, idle(Lang::Zh, *kind), &["立即应用", "重试", "之后会", "仍会", "本命令"]);
        }
    }

    fn promises_nothing(kind: ProblemKind, said: Advice, promises: &[&str]) {
        for promise in promises {
            assert!(!said.why.contains(promise) && !said.mend.contains(promise), "{kind}: {promise}");
        }
    }

    #[test]
    fn every_finding_says_what_why_and_what_to_do_in_both_languages() {
        let both = [Lang::En, Lang::Zh];
        let problems = ProblemKind::ALL.iter().map(|kind| both.map(|lang| problem(lang, *kind)));
        let problems = problems.chain(ProblemKind::ALL.iter().map(|kind| both.map(|lang| once(lang, *kind))));
        let problems = problems.chain(ProblemKind::ALL.iter().map(|kind| both.map(|lang| idle(lang, *kind))));
        let warnings = WarningKind::ALL.iter().map(|kind| both.map(|lang| warning(lang, *kind)));
        let warnings =
            warnings.chain(WarningKind::ALL.iter().map(|kind| both.map(|lang| warning_once(lang, *kind))));
        for [en, zh] in problems.chain(warnings) {
            for text in [en.what, en.why, en.mend, zh.what, zh.why, zh.mend] {
                assert!(!text.is_empty() && !text.ends_with(['.', '。', ' ']), "{text:?}");
            }
            assert!(en.what.is_ascii() && !zh.what.is_ascii(), "{} / {}", en.what, zh.what);
            assert_ne!(en.why, zh.why);
        }
    }
}
