//! The words of `history` and `explain`.
#![expect(missing_docs, reason = "the sentences say what they say")]

use crate::observation::{Depth, Stage};
use crate::text::{Lang, messages};

messages! {
    // Both.
    going_by_record(error: &str) {
        "mirrors.toml is invalid, so this goes by what was recorded: {error}",
        "mirrors.toml 有错误，以下内容依据已有记录：{error}",
    }
    not_running(age: &str) {
        "the service is not running; what it last knew is {age} old",
        "服务没有运行；以下是 {age}前的情况",
    }
    never_ran() { "the service has not run here yet", "服务尚未在此运行过" }
    nothing_recorded() { "nothing was recorded in this time", "这段时间内没有记录" }

    // history: headings.
    head_time() { "TIME (UTC)", "时间（UTC）" }
    head_until() { "UNTIL", "至" }
    head_count() { "TIMES", "次数" }
    head_mirror() { "MIRROR", "镜像源" }
    head_what() { "WHAT", "类型" }
    head_first() { "FIRST", "首字节" }
    head_speed() { "SPEED", "速度" }
    head_outcome() { "OUTCOME", "结果" }
    served() { "served", "正常" }
    depth_connect() { "connect", "连接" }
    depth_sample() { "sample", "抽样" }
    depth_rehearse() { "rehearse", "演练" }
    switch() { "SWITCH", "切换" }
    outcome(what: &str, stage: &str) { "{what}, at {stage}", "{what}，{stage}阶段" }
    with_detail(what: &str, detail: &str) { "{what}: {detail}", "{what}：{detail}" }
    unswitched(list: &str, why: &str) { "{list}, the same list: {why}", "{list}（列表未变）：{why}" }
    switched(from: &str, to: &str, why: &str) { "{from} → {to}: {why}", "{from} → {to}：{why}" }

    // explain: the first lines.
    first_place() { "live, selected as the first", "可用，已选为首选" }
    in_place(place: usize, of: usize) { "live, selected as number {place} of {of}", "可用，已选用（第 {place} 位，共 {of} 个）" }
    live_outside() { "live, not selected", "可用，未选用" }
    not_judged() { "not judged: the network is down", "暂不评判：网络不通" }
    rejected() { "rejected", "已淘汰" }
    unknown() { "not judged yet", "尚未评判" }
    no_failure(age: &str) { "no failure on record for {age}", "{age}内没有失败记录" }
    no_failure_at_all() { "no failure on record", "没有失败记录" }
    reason_since(what: &str, age: &str, at: &str) { "{what}, for {age} (since {at})", "{what}，已 {age}（始于 {at}）" }

    // explain: headings.
    section_why() { "Why", "原因" }
    section_figure() { "Predicted seconds of a pull: 30 MiB in 4 layers", "预计拉取耗时：30 MiB，4 层" }
    section_stages() { "Stages, as last measured", "各阶段（最近一次测得）" }
    section_images() { "Images", "镜像" }
    section_budget() { "Budget", "预算" }
    section_probes() { "Probes", "探测" }
    section_failures() { "Last failures", "最近的失败" }
    section_switches() { "Switches it took part in", "参与的切换" }

    // explain: what keeps it out.
    off_here(at: &str) { "enabled = false, {at}", "enabled = false（{at}）" }
    off_by_group(group: &str, at: &str) { "its group {group} is not in groups ({at})", "所属分组 {group} 不在 groups 中（{at}）" }
    off_by_default(group: &str, groups: &str) {
        "its group {group} is not in groups of [select] (by default: {groups})",
        "所属分组 {group} 不在 [select] 的 groups 中（默认：{groups}）",
    }
    switch_on(url: &str) { "to switch it on: sudo mirrorwatch add {url}", "启用它：sudo mirrorwatch add {url}" }

    // explain: what it lacks.
    lacks_lead(percent: &str, other: &str, needed: u32, has: u32) {
        "to overtake {other} it must be {percent} faster in {needed} rehearsals in a row; it has {has}",
        "须连续 {needed} 次演练比 {other} 快 {percent} 才能超越；目前 {has} 次",
    }
    lead_figures(bar: &str, figure: &str) {
        "with what it refuses counted, it needs less than {bar}, and is at {figure}",
        "计入被拒部分，需低于 {bar}，目前为 {figure}",
    }
    lead_proved() { "that is proved; it waits for `hold` and for the engine", "条件已满足；等待 hold 间隔和引擎" }
    lacks_rehearsal() { "it has not been rehearsed yet", "尚未演练过" }
    lacks_rise(has: u32, needed: u32) {
        "to be live again it needs {needed} good rehearsals in a row; it has {has}",
        "须连续 {needed} 次演练成功才能恢复可用；目前 {has} 次",
    }
    lacks_one_rehearsal() { "one good rehearsal makes it live", "演练成功一次即可用" }
    quarantined(left: &str, at: &str) {
        "it comes and goes, so it stays rejected for {left} more (until {at})",
        "时好时坏，还须隔离 {left}（至 {at}）",
    }
    resting(left: &str, at: &str) {
        "it asked to be left alone: no requests for {left} more (until {at})",
        "对方要求暂停访问：还有 {left}不发请求（至 {at}）",
    }
    failing(failures: u32, fall: u32, depth: &str) {
        "{failures} of {fall} failures in a row that would reject it, at {depth}",
        "已连续失败 {failures} 次（{depth}），满 {fall} 次即淘汰",
    }
    top() { "nobody stands before it", "前面没有别的镜像源" }

    // explain: the figure.
    part_chain() { "to the manifest", "到取得清单为止" }
    part_first_bytes() { "to the layers' first bytes", "等待各层首字节" }
    part_transfer() { "the bytes themselves", "传输数据" }
    part_deviation() { "because it varies", "波动余量" }
    part_success() { "divided by its success", "除以成功率" }
    part_total() { "predicted", "预计" }
    twice(each: &str) { "2 × {each}", "2 × {each}" }
    at_speed(speed: &str) { "30 MiB at {speed}", "30 MiB，{speed}" }
    not_measured() { "not measured", "未测得" }
    not_needed() { "not needed", "不需要" }
    figure_missing() { "its speed or its first byte has not been measured yet", "速度或首字节时间尚未测得" }

    // explain: the rest.
    address(address: &str) { "answers from {address}", "响应地址 {address}" }
    layers_from(host: &str) { "layers from {host}", "层数据来自 {host}" }
    coverage(served: usize, of: usize) { "{served} served of {of} asked for so far", "已请求 {of} 个，提供 {served} 个" }
    image_served() { "served", "提供" }
    image_rests(why: &str, left: &str, at: &str) { "{why}; asked again in {left} at the earliest ({at})", "{why}；最早 {left}后再请求（{at}）" }
    image_unasked() { "not asked for yet", "尚未请求" }
    requests() { "requests in 24 hours", "24 小时内请求数" }
    refusals() { "refusals in 48 hours", "48 小时内被拒次数" }
    bytes() { "bytes in 24 hours", "24 小时内流量" }
    of(spent: &str, allowed: &str) { "{spent} of {allowed}", "{spent} / {allowed}" }
    last_probe(age: &str, at: &str) { "last {age} ago ({at})", "上次：{age}前（{at}）" }
    next_probe(left: &str, at: &str) { "next in {left} ({at})", "下次：{left}后（{at}）" }
    next_probe_now() { "next at once", "下次：立即" }
    day() { "last 24 hours, two hours a bar", "近 24 小时，每格两小时" }
    seen(served: usize, failed: usize) { "in 24 hours: {served} served, {failed} failed", "24 小时内：成功 {served} 次，失败 {failed} 次" }
    and_forgiven(seen: &str, forgiven: usize) {
        "{seen}, {forgiven} not held against it (this host or its network may have failed)",
        "{seen}，不计入 {forgiven} 次（可能是本机或其网络的问题）",
    }
    forgiven(what: &str) { "{what} (not held against it)", "{what}（不计入）" }
    ago(age: &str) { "{age} ago", "{age}前" }

    // The stages of a pull.
    stage_name() { "name", "域名解析" }
    stage_connect() { "connect", "连接" }
    stage_tls() { "tls", "TLS" }
    stage_ping() { "ping", "/v2/" }
    stage_token() { "token", "令牌" }
    stage_manifest() { "manifest", "清单" }
    stage_config() { "config", "配置" }
    stage_layer() { "layer", "层" }
}

/// A stage of a pull.
pub fn stage(lang: Lang, stage: Stage) -> String {
    match stage {
        Stage::Name => stage_name(lang),
        Stage::Connect => stage_connect(lang),
        Stage::Tls => stage_tls(lang),
        Stage::Ping => stage_ping(lang),
        Stage::Token => stage_token(lang),
        Stage::Manifest => stage_manifest(lang),
        Stage::Config => stage_config(lang),
        Stage::Layer => stage_layer(lang),
    }
}

/// How far a probe went.
pub fn depth(lang: Lang, depth: Depth) -> String {
    match depth {
        Depth::Connect => depth_connect(lang),
        Depth::Sample => depth_sample(lang),
        Depth::Rehearse => depth_rehearse(lang),
    }
}
