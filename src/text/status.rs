//! The words of `status`.
#![expect(missing_docs, reason = "the sentences say what they say")]

use crate::reason::ChangeKind;
use crate::text::{Lang, messages};

messages! {
    // The first line.
    well_one(mirror: &str) { "All is well: images are pulled through {mirror}.", "一切正常：通过 {mirror} 拉取镜像。" }
    well(list: &str) { "All is well: images are pulled through {list}.", "一切正常：依次通过 {list} 拉取镜像。" }
    well_direct(upstream: &str) {
        "All is well without a mirror: none is live, and {upstream} answers directly.",
        "无需镜像源，一切正常：没有可用的镜像源，但 {upstream} 可以直连。",
    }
    well_idle(list: &str) {
        "All is well, and nothing is written: no engine is enabled. The choice would be {list}.",
        "一切正常，但未启用任何引擎，不会写入。当前选择为 {list}。",
    }
    starting() { "Starting: the first round of probes is on its way.", "正在启动：第一轮探测进行中。" }
    stopped(age: &str) {
        "The service is not running. This is what it knew {age} ago.",
        "服务没有运行。以下是 {age}前的状态。",
    }
    not_well_one(trouble: &str) { "Not well: {trouble}.", "有问题：{trouble}。" }
    not_well_many(count: usize) { "Not well, {count} things:", "有 {count} 个问题：" }
    then() { ", then ", "、" }
    nobody() { "none", "无" }

    // What is not well. Fragments, put into `not_well_one` or behind a dash.
    silent(age: &str) {
        "the service runs and has shown no sign of life for {age}: it hangs, or cannot write its status; what is known is as old",
        "服务进程仍在，但已有 {age}没有更新状态：它可能已卡住，或无法写入状态文件；已知信息只到那时为止",
    }
    network_down() {
        "the network is down: all who were asked failed together; nothing is changed until it is back",
        "网络不通：所有探测目标同时失败；恢复之前不作任何改动",
    }
    names_down() {
        "no name is resolved, DNS does not work; nothing is changed until it does",
        "所有域名都无法解析，DNS 失效；恢复之前不作任何改动",
    }
    clock_wrong() {
        "every certificate is outside of its dates, so this host's clock is wrong; nothing is changed until it is right",
        "所有证书都不在有效期内，说明本机时钟不准；校正之前不作任何改动",
    }
    behind_portal() {
        "somebody else answers for every name, as a guest network does before you log in; nothing is changed until the mirrors do",
        "所有域名的响应都不是来自镜像源，像是尚未登录的公共网络；恢复之前不作任何改动",
    }
    host_busy() {
        "this host is too busy to measure anything; nothing is changed until it is not",
        "本机过于繁忙，无法测量；恢复之前不作任何改动",
    }
    nothing_live(upstream: &str) {
        "no mirror is live, and {upstream} does not answer: pulls fail; the list is left as it is",
        "没有可用的镜像源，{upstream} 也连不上：拉取会失败；列表保持不变",
    }
    nothing_live_unasked(upstream: &str) {
        "no mirror is live, and {upstream} is not asked (compare_upstream = false): the list is left as it is",
        "没有可用的镜像源，又不探测 {upstream}（compare_upstream = false）：列表保持不变",
    }
    no_engine(engines: &str) { "no engine was found (looked for: {engines})", "没有找到容器引擎（已查找：{engines}）" }
    engine_without(engine: &str, what: &str) { "{engine}: {what}", "{engine}：{what}" }
    engine_waits() { "list not in place yet", "尚未应用列表" }
    engine_refused() { "the list was not written", "列表未写入" }
    engine_rolled_back() { "did not take the list, the old file is back", "未采用新列表，已恢复原文件" }
    engine_absent() { "not found", "未找到" }
    config_invalid(error: &str) {
        "mirrors.toml is invalid, the last valid one stays in force: {error}",
        "mirrors.toml 有错误，暂按上一次有效的内容运行：{error}",
    }
    config_invalid_stopped(error: &str) {
        "mirrors.toml is invalid, the service would not start with it: {error}",
        "mirrors.toml 有错误，服务会因此无法启动：{error}",
    }
    paused(end: &str) { "paused {end}; probing goes on, nothing is written", "已暂停{end}；继续探测，但不写入" }
    paused_stopped(end: &str) { "paused {end}; once started, it probes and writes nothing", "已暂停{end}；启动后只探测，不写入" }
    engine_paused(engine: &str, end: &str) { "{engine} is paused {end}; its list is left alone", "{engine} 已暂停{end}；不再改动它的列表" }
    until_resume() { "until you resume it", "，直到手动恢复" }
    until(at: &str, left: &str) { "for {left} more (until {at})", "，还有 {left}（至 {at}）" }

    // What to do about it: a command, or a short sentence.
    do_start() { "sudo systemctl enable --now mirrorwatch    (by hand: sudo mirrorwatch run)", "sudo systemctl enable --now mirrorwatch    （手动运行：sudo mirrorwatch run）" }
    do_wake() {
        "see why: sudo journalctl -u mirrorwatch -n 50; then: sudo systemctl restart mirrorwatch",
        "查看原因：sudo journalctl -u mirrorwatch -n 50；然后执行：sudo systemctl restart mirrorwatch",
    }
    do_network() { "look at: ip route; getent hosts registry-1.docker.io", "请检查：ip route；getent hosts registry-1.docker.io" }
    do_names() { "look at: resolvectl status; getent hosts registry-1.docker.io", "请检查：resolvectl status；getent hosts registry-1.docker.io" }
    do_clock() { "look at: timedatectl; let it be set: sudo timedatectl set-ntp true", "请检查：timedatectl；启用自动校时：sudo timedatectl set-ntp true" }
    do_portal() { "look at: curl -sSI https://registry-1.docker.io/v2/", "请检查：curl -sSI https://registry-1.docker.io/v2/" }
    do_busy() { "look at: uptime; cat /proc/pressure/cpu", "请检查：uptime；cat /proc/pressure/cpu" }
    do_nothing_live() {
        "the reasons are below; add one that serves you: sudo mirrorwatch add URL",
        "原因见下表；可添加一个可用的镜像源：sudo mirrorwatch add URL",
    }
    do_no_engine(config: &str) {
        "is it installed and running? another place is set under [engine.docker] in {config}",
        "请确认已安装并运行；若路径不同，请在 {config} 的 [engine.docker] 中设置",
    }
    do_check(config: &str) { "mirrorwatch check {config}", "mirrorwatch check {config}" }
    do_resume() { "sudo mirrorwatch resume", "sudo mirrorwatch resume" }
    do_logs() { "journalctl -u mirrorwatch -n 50", "journalctl -u mirrorwatch -n 50" }

    // The table.
    head_mirror() { "MIRROR", "镜像源" }
    head_url() { "URL", "地址" }
    head_upstream() { "OF", "上游" }
    head_pull() { "PULL", "耗时" }
    head_speed() { "SPEED", "速度" }
    head_first() { "FIRST", "首字节" }
    head_success() { "OK", "成功率" }
    head_images() { "IMAGES", "覆盖" }
    head_day() { "24 H", "近 24 小时" }
    head_seen() { "SEEN", "上次探测" }
    head_why() { "WHY", "说明" }
    /// How long ago, under `head_seen`.
    seen(age: &str) { "{age}", "{age}前" }
    /// Why, for how long, and more.
    why_since(what: &str, age: &str) { "{what}, for {age}", "{what}，已 {age}" }
    connects() { "connects; nothing more was asked", "可以连接；没有进一步探测" }
    why_detail(what: &str, detail: &str) { "{what}: {detail}", "{what}：{detail}" }
    why_backend(other: &str) { "same backend as {other}", "与 {other} 同一后端" }
    why_and(what: &str, more: usize) { "{what} (+{more} more)", "{what}（另 {more} 项）" }
    folded_one() { "1 more is switched off; --all shows it.", "另有 1 个已停用，用 --all 显示。" }
    folded(count: usize) { "{count} more are switched off; --all shows them.", "另有 {count} 个已停用，用 --all 显示。" }
    no_mirrors() { "No mirror is known.", "没有任何镜像源。" }
    legend_marks() {
        "* selected, first   + selected   - live, not needed   x must not be used   ? does not answer, or not asked yet   o switched off\n(+1 more): another reason; all of them: mirrorwatch explain NAME",
        "* 首选   + 已选用   - 可用，暂不需要   x 不可使用   ? 无响应或尚未探测   o 已停用\n（另 1 项）：还有其他原因，全部见 mirrorwatch explain 名称",
    }
    legend_figures() {
        "PULL: 30 MiB in 4 layers, predicted.  FIRST: cold connection to first byte of a layer.\nIMAGES: served, of those asked for so far.",
        "耗时：拉取 30 MiB（4 层）的预计时间。首字节：从新建连接到层的第一个字节。\n覆盖：请求过的镜像中能提供的数量。",
    }
    legend_day() {
        "  24 H: speed, two hours a bar, a bar less is half as fast.",
        "近 24 小时：速度，每格两小时，低一级即慢一半。",
    }

    // Below the table.
    engine_in_place(age: &str) { "has the list, verified {age} ago", "已应用，{age}前核实" }
    engine_in_place_unverified() { "has the list", "已应用" }
    engine_list(list: &str) { "list: {list}", "列表：{list}" }
    engine_empty() { "list: empty, the upstream is used directly", "列表：空，直接使用上游" }
    same_list(list: &str) { "{list}, the same list", "{list}，列表未变" }
    warning(what: &str) { "warning: {what}", "警告：{what}" }
    because(what: &str, why: &str) { "{what}; {why}", "{what}；{why}" }
    with_detail(what: &str, detail: &str) { "{what} ({detail})", "{what}（{detail}）" }
    config_notice() { "mirrors.toml has something worth a look", "mirrors.toml 中有值得留意之处" }
    setback() { "what was remembered is lost, or cannot be kept", "历史记录已丢失或无法保存" }
    broken_pause() { "the pause file cannot be read: what held before holds, and after a start nothing is written, until mirrorwatch resume", "无法读取暂停文件：维持此前状态；若服务刚启动，则不写入任何内容，直至运行 mirrorwatch resume" }
    deaf() { "Docker's own pulls are not all listened to; probes go on as before", "未能完全获知 Docker 自身拉取的情况；探测照常进行" }
    last_switch(engine: &str, age: &str, why: &str) { "last switch of {engine}, {age} ago: {why}", "{engine} 上次切换于 {age}前：{why}" }
    service(version: &str, facts: &str) { "mirrorwatch {version}: {facts}", "mirrorwatch {version}：{facts}" }
    running_for(age: &str) { "running for {age}", "已运行 {age}" }
    network_up() { "network up", "网络正常" }
    network_is_down() { "network down", "网络不通" }
    network_unknown() { "network -", "网络 -" }
    as_of(age: &str) { "as of {age} ago", "{age}前的数据" }
    and() { ", ", "，" }
    more_lines(count: usize) { "… more lines: {count}", "…… 还有 {count} 行" }

    // Ages. Units are fixed, so that a column reads downwards.
    seconds(n: u64) { "{n} s", "{n} 秒" }
    minutes(n: u64) { "{n} min", "{n} 分钟" }
    hours(n: u64) { "{n} h", "{n} 小时" }
    days(n: u64) { "{n} d", "{n} 天" }

    // Why the list changed.
    first_list() { "the first list", "首个列表" }
    member_rejected(subject: &str, reason: &str) { "{subject} was rejected: {reason}", "{subject} 被淘汰：{reason}" }
    filled(subject: &str) { "{subject} took a free place", "{subject} 补上空位" }
    faster(subject: &str) { "{subject} is faster", "{subject} 更快" }
    member_removed(subject: &str) { "{subject} is no longer a candidate", "{subject} 已不在候选之列" }
    no_place(subject: &str) { "no place is left for {subject}", "列表中已没有 {subject} 的位置" }
    all_dead(upstream: &str) { "nothing was live, and {upstream} answered", "没有可用的镜像源，而 {upstream} 可以直连" }
    by_hand() { "somebody ran apply", "手动执行了 apply" }
    restored() { "somebody ran restore", "手动执行了 restore" }
    engine_differed() { "the engine's list was another", "引擎中的列表与选择不一致" }
    some_member() { "a member", "某个已选用的镜像源" }
}

/// Why the list changed, in a fragment.
pub fn change(lang: Lang, kind: ChangeKind, subject: &str, reason: &str, upstream: &str) -> String {
    match kind {
        ChangeKind::First => first_list(lang),
        ChangeKind::MemberRejected => member_rejected(lang, subject, reason),
        ChangeKind::Filled => filled(lang, subject),
        ChangeKind::Faster => faster(lang, subject),
        ChangeKind::MemberRemoved => member_removed(lang, subject),
        ChangeKind::NothingLive => all_dead(lang, upstream),
        ChangeKind::ByHand => by_hand(lang),
        ChangeKind::Restored => restored(lang),
        ChangeKind::EngineDiffered => engine_differed(lang),
    }
}
