//! The closed lists of [`crate::reason`] in people's words: short phrases without a full stop.

use crate::reason::{ProblemKind, ReasonKind, WarningKind};
use crate::text::Lang;

fn pick(lang: Lang, (english, chinese): (&'static str, &'static str)) -> &'static str {
    match lang {
        Lang::En => english,
        Lang::Zh => chinese,
    }
}

/// Why a mirror stands where it stands.
pub fn reason(lang: Lang, kind: ReasonKind) -> &'static str {
    pick(
        lang,
        match kind {
            ReasonKind::NameNotResolved => ("name does not resolve", "域名无法解析"),
            ReasonKind::SuspiciousAddress => ("name leads to a bogus address", "域名解析到可疑地址"),
            ReasonKind::ConnectionRefused => ("connection refused", "连接被拒绝"),
            ReasonKind::Unreachable => ("no route to it", "网络不可达"),
            ReasonKind::ConnectTimeout => ("does not answer (TCP)", "连接超时（TCP）"),
            ReasonKind::TlsExpired => ("certificate expired", "证书已过期或尚未生效"),
            ReasonKind::TlsUntrusted => ("certificate not trusted", "证书不受信任"),
            ReasonKind::TlsWrongHost => ("certificate of another host", "证书与域名不符"),
            ReasonKind::TlsError => ("TLS handshake fails", "TLS 握手失败"),
            ReasonKind::NoAnswer => ("accepts and never answers", "已连接但不响应"),
            ReasonKind::ConnectionLost => ("hangs up in mid-answer", "响应中途断开"),
            ReasonKind::NotARegistry => ("not a registry", "不是镜像仓库服务"),
            ReasonKind::LoginRequired => ("wants a login", "要求登录"),
            ReasonKind::NotAllowed => ("denied (403)", "拒绝访问（403）"),
            ReasonKind::NotFound => ("does not have the image (404)", "没有该镜像（404）"),
            ReasonKind::RateLimited => ("rate-limited (429)", "被限流（429）"),
            ReasonKind::ServerError => ("server error (5xx)", "服务器错误（5xx）"),
            ReasonKind::Stalled => ("stalls in a layer", "下载中途卡住"),
            ReasonKind::TooSlow => ("too slow", "速度过慢"),
            ReasonKind::Corrupt => ("wrong bytes for the digest", "内容与摘要不符"),
            ReasonKind::Stale => ("serves an old tag", "标签内容已过时"),
            ReasonKind::RedirectRefused => ("redirects where nobody should go", "重定向目标不可接受"),
            ReasonKind::AnswerTooLarge => ("answers without an end", "响应过大"),
            ReasonKind::ProtocolError => ("does not speak the protocol", "不符合协议"),
            ReasonKind::Unprobed => ("not probed yet", "尚未探测"),
            ReasonKind::SlowerThanUpstream => ("slower than the upstream", "比直连上游还慢"),
            ReasonKind::SameBackend => ("same backend as another", "与另一镜像源同一后端"),
            ReasonKind::Unfit => ("unfit for the engine's image store", "不适合当前引擎的镜像存储"),
            ReasonKind::Disabled => ("switched off", "已停用"),
            ReasonKind::NotSelected => ("others are better", "已有更好的"),
            ReasonKind::OverBudget => ("probed less, to keep the budget", "为不超预算，探测已放缓"),
        },
    )
}

/// Why an engine does not have the selection; stands behind the engine's name and a colon.
pub fn problem(lang: Lang, kind: ProblemKind) -> &'static str {
    pick(
        lang,
        match kind {
            ProblemKind::NotRunning => ("not running", "没有运行"),
            ProblemKind::NoAnswer => ("its API does not answer", "API 没有响应"),
            ProblemKind::NotPermitted => ("permission denied", "权限不足"),
            ProblemKind::BrokenFile => {
                ("its file is broken, nothing was written", "配置文件已损坏，未作任何改动")
            }
            ProblemKind::Unreadable => ("its file cannot be read", "配置文件无法读取"),
            ProblemKind::Unwritable => ("its file cannot be written", "配置文件无法写入"),
            ProblemKind::FlagConflict => (
                "it was started with --registry-mirror, which forbids the key in its file",
                "启动参数带有 --registry-mirror，与配置文件冲突",
            ),
            ProblemKind::AuthorizationPlugins => (
                "it has authorization plugins, and one that fails at a reload ends it",
                "启用了授权插件，重载时插件出错会使其退出",
            ),
            ProblemKind::ReloadBug => (
                "this version forgets insecure-registries at a reload",
                "该版本重载时会丢失 insecure-registries",
            ),
            ProblemKind::FlagsReset => {
                ("a reload would reset what its flags say", "重载会重置其启动参数的设置")
            }
            ProblemKind::Overridden => ("a hosts.toml overrides its list", "列表被 hosts.toml 覆盖"),
            ProblemKind::ValidationFailed => {
                ("it would refuse the new file, nothing was written", "新配置未通过校验，未作任何改动")
            }
            ProblemKind::Raced => ("somebody else wrote its file at the same time", "配置文件同时被他人修改"),
            ProblemKind::ReloadFailed => ("it could not be told to reload", "无法让其重载"),
            ProblemKind::NotTaken => {
                ("it did not take the list, the old file is back", "未采用新列表，已恢复原文件")
            }
            ProblemKind::RollbackFailed => ("its old file could not be put back", "原文件恢复失败"),
            ProblemKind::Locked => ("another mirrorwatch is at work on it", "另一个 mirrorwatch 正在处理"),
        },
    )
}

/// What works, and is still worth knowing.
pub fn warning(lang: Lang, kind: WarningKind) -> &'static str {
    pick(
        lang,
        match kind {
            WarningKind::LoginLeaks => (
                "your docker login to Docker Hub is sent to any mirror that asks for it; log out, or use the containerd image store",
                "本机已 docker login 到 Docker Hub，镜像源索要时引擎会把账号密码发给它；请 docker logout，或改用 containerd 镜像存储",
            ),
            WarningKind::BuildNeedsRestart => (
                "docker build sees a changed list only after Docker's next start (dockerd up to 24)",
                "docker build 要到 Docker 下次启动后才会使用新列表（dockerd 24 及更早版本）",
            ),
            WarningKind::PendingEdits => (
                "its file holds edits that it has not taken yet; a reload takes them along",
                "配置文件中有尚未生效的改动，重载时会一并生效",
            ),
            WarningKind::Typo => ("a key in its file looks misspelt", "配置文件中疑似有拼错的键"),
            WarningKind::Config => {
                ("mirrors.toml has something worth a look", "mirrors.toml 中有值得留意之处")
            }
            WarningKind::Setback => {
                ("what was remembered is lost or cannot be kept", "历史记录已丢失或无法保存")
            }
        },
    )
}
