//! The built-in catalogue of hosts that lists on the web still name and that cannot help: closed ones, ones
//! for a closed circle, and ones that never were mirrors of Docker Hub.
//!
//! Drawn from public material as read on 2026-11-20; each date says when the host closed, or when it was
//! last seen not to serve.

use crate::text::{Lang, config as say};

/// What is known of a host, against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// What follows from it.
    pub kind: Kind,
    /// `YYYY-MM-DD`, or as much of it as is known.
    pub date: &'static str,
    why: Why,
}

/// What follows from what is known of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It was a mirror and is none any more.
    Closed,
    /// It serves some, in their place or with their login.
    Restricted,
    /// It never was a mirror of Docker Hub.
    NotAMirror,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    ShutDown,
    Gone,
    Login,
    Only(Place),
    AliyunCode,
    /// The registry of somebody.
    Registry(Owner),
    Upstream,
    MirrorOf(&'static str),
    WebSite,
    PathOnly,
}

/// A proper name, in English and in Chinese.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Owner(&'static str, &'static str);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    AzureChina,
    KSpeeder,
    Stfc,
}

/// When the public material was read that the dates without a better source stand on.
const READ: &str = "2026-11-20";

/// What is known against `host`, a name without scheme and port, as in [`crate::mirror::MirrorUrl::host`].
/// `None` says nothing in its favour.
pub fn lookup(host: &str) -> Option<Known> {
    let host = host.to_ascii_lowercase();
    let named = HOSTS.iter().find(|(name, _)| *name == host).map(|(_, known)| *known);
    named.or_else(|| family(&host))
}

/// Hosts that come in families: one for each region or customer.
fn family(host: &str) -> Option<Known> {
    let labels: Vec<&str> = host.split('.').collect();
    match labels.as_slice() {
        // Somebody's personal code; it was pasted along with its owner's.
        [_, "mirror", "aliyuncs", "com"] => Some(restricted("2024-07-02", Why::AliyunCode)),
        [code, "m", "daocloud", "io"] if code.len() == 8 && code.bytes().all(|b| b.is_ascii_hexdigit()) => {
            Some(closed("2024-06-08", Why::ShutDown))
        }
        [first, .., "aliyuncs", "com"] if first.starts_with("registry") => {
            Some(registry("Alibaba Cloud", "阿里云"))
        }
        [.., "cr", "aliyuncs", "com"] => Some(registry("Alibaba Cloud", "阿里云")),
        [.., "tencentcloudcr", "com"] => Some(registry("Tencent Cloud", "腾讯云")),
        ["swr", _, "myhuaweicloud", "com"] => Some(registry("Huawei Cloud", "华为云")),
        [_, "dkr", "ecr", .., "amazonaws", "com"] => Some(registry("Amazon", "亚马逊")),
        // mirror.gcr.io is the exception: it does cache Docker Hub.
        [region, "gcr", "io"] if *region != "mirror" => Some(registry("Google", "谷歌")),
        [.., "pkg", "dev"] => Some(registry("Google", "谷歌")),
        [_, "azk8s", "cn"] => Some(restricted("2026-07-10", Why::Only(Place::AzureChina))),
        _ => None,
    }
}

const fn closed(date: &'static str, why: Why) -> Known {
    Known { kind: Kind::Closed, date, why }
}

const fn restricted(date: &'static str, why: Why) -> Known {
    Known { kind: Kind::Restricted, date, why }
}

const fn not_a_mirror(why: Why) -> Known {
    Known { kind: Kind::NotAMirror, date: READ, why }
}

const fn registry(en: &'static str, zh: &'static str) -> Known {
    not_a_mirror(Why::Registry(Owner(en, zh)))
}

const fn shut(host: &'static str, date: &'static str) -> (&'static str, Known) {
    (host, closed(date, Why::ShutDown))
}

const fn gone(host: &'static str, date: &'static str) -> (&'static str, Known) {
    (host, closed(date, Why::Gone))
}

const fn login(host: &'static str, date: &'static str) -> (&'static str, Known) {
    (host, restricted(date, Why::Login))
}

const fn of(host: &'static str, upstream: &'static str) -> (&'static str, Known) {
    (host, not_a_mirror(Why::MirrorOf(upstream)))
}

impl Known {
    /// Why, as one fragment without the date.
    pub fn reason(&self, lang: Lang) -> String {
        match self.why {
            Why::ShutDown => say::why_shut_down(lang),
            Why::Gone => say::why_gone(lang),
            Why::Login => say::why_login(lang),
            Why::Only(Place::AzureChina) => say::why_only(lang, &say::place_azure_china(lang)),
            Why::Only(Place::KSpeeder) => say::why_only(lang, &say::place_kspeeder(lang)),
            Why::Only(Place::Stfc) => say::why_only(lang, &say::place_stfc(lang)),
            Why::AliyunCode => say::why_aliyun_code(lang),
            Why::Registry(Owner(en, zh)) => say::why_registry(
                lang,
                match lang {
                    Lang::En => en,
                    Lang::Zh => zh,
                },
            ),
            Why::Upstream => say::why_upstream(lang),
            Why::MirrorOf(upstream) => say::why_mirror_of(lang, upstream),
            Why::WebSite => say::why_web_site(lang),
            Why::PathOnly => say::why_path_only(lang),
        }
    }

    /// The whole finding about `host`.
    pub fn what(&self, lang: Lang, host: &str) -> String {
        let reason = self.reason(lang);
        match self.kind {
            Kind::Closed => say::known_closed(lang, host, &reason, self.date),
            Kind::Restricted => say::known_restricted(lang, host, &reason, self.date),
            Kind::NotAMirror => say::known_not_a_mirror(lang, host, &reason, self.date),
        }
    }

    /// What to do about it.
    pub fn hint(&self, lang: Lang) -> String {
        match self.kind {
            Kind::Closed => say::known_closed_hint(lang),
            Kind::Restricted => say::known_restricted_hint(lang),
            Kind::NotAMirror => say::known_not_a_mirror_hint(lang),
        }
    }
}

#[rustfmt::skip]
const HOSTS: &[(&str, Known)] = &[
    // Shut down by a known operator.
    shut("registry.docker-cn.com", "2019"),
    shut("reg-mirror.qiniu.com", "2020-05-30"),
    shut("docker.mirrors.ustc.edu.cn", "2024-06-06"),
    shut("docker.mirrors.sjtug.sjtu.edu.cn", "2024-06-06"),
    shut("docker.nju.edu.cn", "2024-06-07"),
    shut("hub-mirror.c.163.com", "2024-06-13"),
    shut("mirror.baidubce.com", "2024-06-13"),
    shut("hub.atomgit.com", "2024-12"),
    shut("atomhub.openatom.cn", "2024-12-30"),
    // Seen to serve no more.
    gone("dockerproxy.com", "2024-06-24"),
    gone("docker.rainbond.cc", "2025-03-05"),
    gone("docker.kubesre.xyz", "2024-11-22"),
    gone("dhub.kubesre.xyz", "2024-11-22"),
    gone("docker.imgdb.de", "2025-02-18"),
    gone("docker.ketches.cn", "2025-04-27"),
    gone("docker.melikeme.cn", "2025-07-12"),
    gone("dockerpull.cn", "2025-09-25"),
    gone("noohub.ru", READ),
    gone("hub.dockerx.org", "2024-08-02"),
    gone("dockerpull.com", "2024-11-07"),
    gone("dytt.online", "2025-10-22"),
    gone("demo.52013120.xyz", "2025-12-16"),
    gone("14850505.xyz", "2026-06-13"),
    gone("666860.xyz", "2026-06-13"),
    gone("a.ussh.net", "2026-06-13"),
    gone("aicarbon.xyz", "2026-06-13"),
    gone("bjoo.org", "2026-06-13"),
    gone("cjie.eu.org", "2026-06-13"),
    gone("d.66.edu.pl", "2026-06-13"),
    gone("dislabaiot.xyz", "2026-06-13"),
    gone("docker-0.unsee.tech", "2026-06-13"),
    gone("docker.1panel.dev", "2026-06-13"),
    gone("docker.1panelproxy.com", "2026-06-13"),
    gone("docker.5z5f.com", "2026-06-13"),
    gone("docker.anyhub.us.kg", "2026-06-13"),
    gone("docker.chenby.cn", "2026-06-13"),
    gone("docker.ckyl.me", "2026-06-13"),
    gone("docker.cloudlayer.icu", "2026-06-13"),
    gone("docker.foreverlink.love", "2026-06-13"),
    gone("docker.fxxk.dedyn.io", "2026-06-13"),
    gone("docker.hpcloud.cloud", "2026-06-13"),
    gone("docker.lefu.men", "2026-06-13"),
    gone("docker.linkedbus.com", "2026-06-13"),
    gone("docker.mhtsec.com", "2026-06-13"),
    gone("docker.mrxn.net", "2026-06-13"),
    gone("docker.mybacc.com", "2026-06-13"),
    gone("docker.nastool.de", "2026-06-13"),
    gone("docker.shaunyang.site", "2026-06-13"),
    gone("docker.udayun.com", "2026-06-13"),
    gone("docker.unsee.tech", "2026-06-13"),
    gone("docker.wanpeng.top", "2026-06-13"),
    gone("docker.wget.at", "2026-06-13"),
    gone("docker.xiaogenban1993.com", "2026-06-13"),
    gone("docker.xn--6oq72ry9d5zx.cn", "2026-06-13"),
    gone("docker.xpg666.xyz", "2026-06-13"),
    gone("docker.yomansunter.com", "2026-06-13"),
    gone("docker.zhai.cm", "2026-06-13"),
    gone("dockerhub.icu", "2026-06-13"),
    gone("dockerhub.jobcher.com", "2026-06-13"),
    gone("dockerhub.websoft9.com", "2026-06-13"),
    gone("dockerpull.org", "2026-06-13"),
    gone("doublezonline.cloud", "2026-06-13"),
    gone("func.ink", "2026-06-13"),
    gone("ginger20240704.asia", "2026-06-13"),
    gone("hub.crdz.gq", "2026-06-13"),
    gone("hub.geekery.cn", "2026-06-13"),
    gone("hub.gog.email", "2026-06-13"),
    gone("hub.littlediary.cn", "2026-06-13"),
    gone("hub.uuuadc.top", "2026-06-13"),
    gone("hub.xdark.top", "2026-06-13"),
    gone("leitong.top", "2026-06-13"),
    gone("ligang666.xyz", "2026-06-13"),
    gone("lispy.org", "2026-06-13"),
    gone("lynn520.xyz", "2026-06-13"),
    gone("registry.dockermirror.com", "2026-06-13"),
    gone("tzq.asia", "2026-06-13"),
    gone("vipmall.store", "2026-06-13"),
    // Open to some.
    login("docker.fnnas.com", "2026-08-18"),
    login("docker.xuanyuan.run", "2026-08-18"),
    login("docker.xuanyuan.dev", "2026-08-18"),
    login("docker.hlmirror.com", "2026-06-13"),
    login("mirror.houlang.cloud", "2026-06-13"),
    ("registry.linkease.net", restricted("2026-07-14", Why::Only(Place::KSpeeder))),
    ("dockerhub.stfc.ac.uk", restricted("2026-06-18", Why::Only(Place::Stfc))),
    // Docker Hub itself.
    ("docker.io", not_a_mirror(Why::Upstream)),
    ("index.docker.io", not_a_mirror(Why::Upstream)),
    ("registry-1.docker.io", not_a_mirror(Why::Upstream)),
    ("registry.hub.docker.com", not_a_mirror(Why::Upstream)),
    ("hub.docker.com", not_a_mirror(Why::WebSite)),
    ("docker.com", not_a_mirror(Why::WebSite)),
    ("www.docker.com", not_a_mirror(Why::WebSite)),
    // Other registries.
    ("ghcr.io", registry("GitHub", " GitHub ")),
    ("docker.pkg.github.com", registry("GitHub", " GitHub ")),
    ("gcr.io", registry("Google", "谷歌")),
    ("registry.k8s.io", registry("Kubernetes", " Kubernetes ")),
    ("quay.io", registry("Red Hat", "红帽")),
    ("mcr.microsoft.com", registry("Microsoft", "微软")),
    ("nvcr.io", registry("NVIDIA", " NVIDIA ")),
    ("docker.elastic.co", registry("Elastic", " Elastic ")),
    ("registry.gitlab.com", registry("GitLab", " GitLab ")),
    ("ccr.ccs.tencentyun.com", registry("Tencent Cloud", "腾讯云")),
    // Mirrors of other registries.
    of("ghcr.m.daocloud.io", "ghcr.io"),
    of("quay.m.daocloud.io", "quay.io"),
    of("gcr.m.daocloud.io", "gcr.io"),
    of("k8s.m.daocloud.io", "registry.k8s.io"),
    of("k8s-gcr.m.daocloud.io", "k8s.gcr.io"),
    of("mcr.m.daocloud.io", "mcr.microsoft.com"),
    of("nvcr.m.daocloud.io", "nvcr.io"),
    of("elastic.m.daocloud.io", "docker.elastic.co"),
    of("dhi.m.daocloud.io", "dhi.io"),
    of("ollama.m.daocloud.io", "registry.ollama.ai"),
    of("ghcr.nju.edu.cn", "ghcr.io"),
    of("quay.nju.edu.cn", "quay.io"),
    of("gcr.nju.edu.cn", "gcr.io"),
    of("k8s.nju.edu.cn", "registry.k8s.io"),
    of("ngc.nju.edu.cn", "nvcr.io"),
    of("ghcr.1ms.run", "ghcr.io"),
    of("quay.1ms.run", "quay.io"),
    of("k8s.1ms.run", "registry.k8s.io"),
    of("gcr.1ms.run", "gcr.io"),
    // Docker Hub's images, but not where Docker asks for them.
    ("m.daocloud.io", not_a_mirror(Why::PathOnly)),
    ("public.ecr.aws", not_a_mirror(Why::PathOnly)),
    ("cr.yandex", not_a_mirror(Why::PathOnly)),
    // Web sites.
    ("mirrors.ustc.edu.cn", not_a_mirror(Why::WebSite)),
    ("mirrors.tuna.tsinghua.edu.cn", not_a_mirror(Why::WebSite)),
    ("mirrors.aliyun.com", not_a_mirror(Why::WebSite)),
    ("1ms.run", not_a_mirror(Why::WebSite)),
    ("docker.aityp.com", not_a_mirror(Why::WebSite)),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_host_of_an_old_post_is_known_with_its_kind_and_date() {
        for (host, kind, date) in [
            ("hub-mirror.c.163.com", Kind::Closed, "2024-06-13"),
            ("Docker.NJU.edu.cn", Kind::Closed, "2024-06-07"),
            ("f1361db2.m.daocloud.io", Kind::Closed, "2024-06-08"),
            ("abcdefgh.mirror.aliyuncs.com", Kind::Restricted, "2024-07-02"),
            ("dockerhub.azk8s.cn", Kind::Restricted, "2026-07-10"),
            ("docker.fnnas.com", Kind::Restricted, "2026-08-18"),
            ("registry.cn-hangzhou.aliyuncs.com", Kind::NotAMirror, READ),
            ("registry-vpc.cn-beijing.aliyuncs.com", Kind::NotAMirror, READ),
            ("crpi-x.cn-hangzhou.personal.cr.aliyuncs.com", Kind::NotAMirror, READ),
            ("us.gcr.io", Kind::NotAMirror, READ),
            ("ghcr.m.daocloud.io", Kind::NotAMirror, READ),
            ("registry-1.docker.io", Kind::NotAMirror, READ),
        ] {
            let known = lookup(host).unwrap_or_else(|| panic!("{host} is not known"));
            assert_eq!((known.kind, known.date), (kind, date), "{host}");
        }
    }

    #[test]
    fn nothing_is_held_against_a_host_that_may_serve() {
        for host in [
            "docker.m.daocloud.io",
            "mirror.ccs.tencentyun.com",
            "mirror.gcr.io",
            "docker.1ms.run",
            "registry.example.com",
            "127.0.0.1",
            "",
        ] {
            assert_eq!(lookup(host), None, "{host}");
        }
    }

    #[test]
    fn the_catalogue_names_each_host_once_and_in_lower_case() {
        let mut seen = HashSet::new();
        for (host, _) in HOSTS {
            assert!(seen.insert(host), "{host} twice");
            assert_eq!(*host, host.to_ascii_lowercase());
        }
    }
}
