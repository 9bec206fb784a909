//! Why a mirror stands where it stands, in people's words: short phrases without a full stop.

use crate::reason::ReasonKind;
use crate::text::Lang;

fn pick(lang: Lang, (english, chinese): (&'static str, &'static str)) -> &'static str {
    match lang {
        Lang::En => english,
        Lang::Zh => chinese,
    }
}

/// In the place of [`ReasonKind::Unprobed`] while our own network is down.
pub fn no_verdict(lang: Lang) -> &'static str {
    pick(lang, ("asked, no verdict: the network is down", "已探测，但网络不通，无法判断"))
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
            ReasonKind::NotSelected => ("not in the list", "未入选"),
            ReasonKind::OverBudget => ("probed less, to keep the budget", "为不超预算，探测已放缓"),
        },
    )
}
