//! The words of the commands that ask and act: probe, apply, restore, check, add, remove, run.
#![expect(missing_docs, reason = "the sentences say what they say")]

use crate::text::{Lang, messages};

messages! {
    one_mistake() { "mirrors.toml is invalid", "mirrors.toml 有错误" }
    mistakes(count: usize) { "mirrors.toml is invalid: {count} mistakes", "mirrors.toml 有 {count} 处错误" }
    mend_config(command: &str) { "mend it, then see what is left: {command}", "修改后再检查一遍：{command}" }
    about(subject: &str, what: &str) { "{subject}: {what}", "{subject}：{what}" }
    answered() { "ok", "正常" }
    valid_line(path: &str, mirrors: usize, plural: &str, enabled: usize, verb: &str) {
        "{path}: valid; {mirrors} mirror{plural}, {enabled} {verb} part",
        "{path}：有效；共 {mirrors} 个镜像源，{enabled} 个参与选择",
    }
    network_down() {
        "this host's own network seems to be down: nobody who was asked answered, so this round says nothing about any mirror",
        "本机网络似乎不通：所有探测目标都没有响应，这一轮的结果不能说明任何镜像源的好坏",
    }
    rests(name: &str, until: &str) {
        "warning: {name} asked to be left alone until {until} (429); by hand it is asked all the same, and may ask for longer",
        "警告：{name} 要求在 {until} 之前不再访问（429）；手动探测仍会访问，可能因此延长",
    }
    budget_is_short(name: &str, requests: &str, bytes: &str, refusals: &str, cost: &str) {
        "warning: the budget of {name} has less left than a rehearsal may cost ({cost}): requests in 24 h {requests}, bytes {bytes}, refusals in 48 h {refusals}; by hand it is asked all the same, and that counts too: a mirror bans whom it sees too often",
        "警告：{name} 的预算所剩已不够一次演练（最多 {cost}）：24 小时请求 {requests}，流量 {bytes}，48 小时被拒 {refusals}；手动探测仍会访问并计入预算，访问过多可能被该镜像源封禁",
    }
    cost(requests: u32, bytes: &str, refusals: u32) {
        "{requests} requests, {bytes}, {refusals} refusals",
        "{requests} 次请求、{bytes}、{refusals} 次被拒",
    }
    asked_in_haste(names: &str, requests: u32, minute: &str) {
        "warning: asked more than {requests} times in the last {minute} already: {names}; by hand they are asked all the same, and that counts too: a mirror bans whom it sees too often",
        "警告：最近 {minute}内的请求已超过 {requests} 次：{names}；手动探测仍会访问并计入预算，访问过多可能被该镜像源封禁",
    }
    check_network() { "check the network and the proxy, then try again", "请检查网络和代理后重试" }
    nothing_changed() {
        "this host's own network seems to be down: nobody who was asked answered, so nothing was changed",
        "本机网络似乎不通：所有探测目标都没有响应，因此未作任何改动",
    }
    no_such_mirror(name: &str) { "there is no mirror {name}", "没有名为 {name} 的镜像源" }
    names_are_in(path: &str) { "every name is in {path} and in mirrors.d beside it", "所有名称见 {path} 和同目录的 mirrors.d" }
    did_you_mean(name: &str, path: &str) {
        "did you mean {name}? Every name is in {path} and in mirrors.d beside it",
        "是不是想写 {name}？所有名称见 {path} 和同目录的 mirrors.d",
    }
    known_host(what: &str, hint: &str) { "warning: {what}\n  hint: {hint}", "警告：{what}\n  提示：{hint}" }
    is_there(name: &str, at: &str) { "{name} is there already: {at}", "{name} 已经存在：{at}" }
    name_is_taken(name: &str, at: &str) { "the name {name} is taken: {at}", "名称 {name} 已被使用：{at}" }
    name_of_another(url: &str) {
        "that is {url}; another name is given with --name",
        "该名称属于 {url}；请用 --name 指定其他名称",
    }
    name_of_one_that_is_off(url: &str) {
        "that is {url}, which is switched off; to switch it on: mirrorwatch add {url}; another name is given with --name",
        "该名称属于已停用的 {url}；要启用它：mirrorwatch add {url}；或用 --name 指定其他名称",
    }
    keeps_its_name(name: &str, said: &str, at: &str) {
        "it keeps the name it has, {name}, and is not called {said}: a name is changed where it stands, {at}",
        "保留原有名称 {name}，未改为 {said}；如需改名，请编辑 {at}",
    }
    added_all_the_same(name: &str) {
        "it is added all the same; to take it out again: mirrorwatch remove {name}",
        "仍会添加；如需移除：mirrorwatch remove {name}",
    }
    not_writable(path: &str) { "{path}: cannot be written: permission denied", "{path}：无法写入：权限不足" }
    edit_invalid(path: &str) {
        "{path}: the edit would make the configuration invalid, so it was not written",
        "{path}：这样修改会使配置无效，因此没有写入",
    }
    stays_off(path: &str, name: &str) {
        "{path}: {name} would stay switched off, so nothing was written: a file that is read later has enabled = false or a group that takes no part",
        "{path}：{name} 仍会处于停用状态，因此没有写入：排在后面的文件中写有 enabled = false，或写了不参与的分组",
    }
    see_files(dir: &str) { "files are read in the order of their names: ls {dir}", "各文件按名称顺序读取：ls {dir}" }
    off_already(name: &str, at: &str) {
        "{name} is switched off already (enabled = false, {at}); nothing was changed",
        "{name} 已处于停用状态（enabled = false，{at}），未作任何改动",
    }
    added(name: &str, path: &str) { "{name} added to {path}", "{name} 已添加到 {path}" }
    removed(name: &str, path: &str) { "{name} removed from {path}", "已从 {path} 中删除 {name}" }
    switched_on(name: &str, path: &str) { "{name} switched on again in {path}", "已在 {path} 中重新启用 {name}" }
    switched_off(name: &str, path: &str, at: &str) {
        "{name} switched off in {path}: it stands in {at}, which is left as it is",
        "已在 {path} 中停用 {name}：它写在 {at}，该文件保持不变",
    }
    switched_off_adopted(name: &str, path: &str) {
        "{name} switched off in {path}: it came from Docker's own list",
        "已在 {path} 中停用 {name}：它来自 Docker 原有的列表",
    }
    waiting_for_command(command: &str) {
        "waiting for Docker to take the list; the `reload` command of [engine.docker] is given 30 s, and as long again if the change must be undone: {command}",
        "正在等待 Docker 采用该列表；[engine.docker] 的 `reload` 命令限时 30 秒，若需撤销改动会再执行一次：{command}",
    }
    waiting_for_engine() { "waiting for Docker to take the list", "正在等待 Docker 采用该列表" }
    try_reload(command: &str) {
        "type it, to see what it does: {command}; it stands at `reload` in [engine.docker], and has to end by itself, and with 0",
        "请手动执行，查看其结果：{command}；它写在 [engine.docker] 的 `reload` 中，必须能自行结束，且退出码为 0",
    }
    in_place(list: &str) { "In place, and the engine says so: {list}", "已生效，引擎已确认：{list}" }
    unchanged(list: &str) { "Nothing to change, the engine has it already: {list}", "无需改动，引擎已在使用：{list}" }
    written_not_verified(list: &str) {
        "Written, and not yet verified, because reloading is left to you (reload = \"none\"): {list}",
        "已写入但尚未核实（reload = \"none\"，需自行重载）：{list}",
    }
    no_mirror() { "no mirror; the engine goes to the upstream at once", "不使用镜像源，引擎直接访问上游" }
    nothing_live() {
        "no mirror is live and the upstream does not answer: the list is left as it is",
        "没有可用的镜像源，上游也没有响应：列表保持不变",
    }
    add_one() { "other mirrors can be tried: mirrorwatch add URL", "可以试试其他镜像源：mirrorwatch add URL" }
    still_paused() {
        "the service leaves this engine alone since `mirrorwatch restore`; to have it kept right again: sudo mirrorwatch resume",
        "自执行 mirrorwatch restore 以来，服务不再改动该引擎；要恢复维护请执行：sudo mirrorwatch resume",
    }
    was_as_before() {
        "The engine has what it had before mirrorwatch: nothing to put back.",
        "引擎的内容与 mirrorwatch 写入之前一致，无需恢复。",
    }
    would_change_nothing() { "nothing would change", "不会有任何改动" }
    would_reload() { "no file would change; the engine would be reloaded, it does not have the list yet", "不会改动文件；引擎尚未使用该列表，会让其重载" }
    restored() {
        "Restored what was there before mirrorwatch.",
        "已恢复为 mirrorwatch 写入之前的内容。",
    }
    restored_to(number: u64, list: &str) {
        "Restored what was there before write {number}: {list}.",
        "已恢复为第 {number} 次写入之前的内容：{list}。",
    }
    left_alone() {
        "The service leaves this engine alone until: sudo mirrorwatch resume",
        "服务不再改动该引擎，直到执行 sudo mirrorwatch resume",
    }
    left_alone_and_off() {
        "The service leaves this engine alone as long as [engine.docker] is disabled, and then until: sudo mirrorwatch resume",
        "[engine.docker] 停用期间，服务不会改动该引擎；重新启用后，还要执行 sudo mirrorwatch resume 才会恢复维护",
    }
    nothing_kept() { "nothing was ever written to the engine's file: there is nothing to restore", "从未写入过引擎的配置文件，没有可恢复的内容" }
    not_kept(number: u64, kept: &str) { "there is no state {number}; kept are {kept}", "没有编号为 {number} 的状态；已保存的编号：{kept}" }
    range(first: u64, last: u64) { "{first} to {last}", "{first} 至 {last}" }
    see_kept() { "what is kept: sudo mirrorwatch restore --list", "查看已保存的内容：sudo mirrorwatch restore --list" }
    heading_number() { "N", "编号" }
    heading_kept_at() { "KEPT AT (UTC)", "保存时间（UTC）" }
    heading_size() { "BYTES", "字节" }
    heading_list() { "LIST", "列表" }
    no_file() { "no file", "没有文件" }
    no_key() { "no registry-mirrors", "没有 registry-mirrors" }
    damaged() { "damaged, cannot be restored", "已损坏，无法恢复" }
    how_to_restore() {
        "each is the file as it was before a write; 0, before the first, is kept for ever: sudo mirrorwatch restore --to N",
        "每一份都是某次写入之前的文件；编号 0（首次写入之前）永久保留：sudo mirrorwatch restore --to N",
    }
    settled_committed(file: &str) {
        "{file}: the last write was cut short; the engine has it, so it stands",
        "{file}：上一次写入曾被中断；引擎已采用，因此保留",
    }
    settled_put_back(file: &str) {
        "{file}: the last write was cut short; the engine does not have it, so the file is as it was before",
        "{file}：上一次写入曾被中断；引擎没有采用，因此文件已恢复原样",
    }
    settled_left_alone(file: &str) {
        "{file}: the last write was cut short, and somebody else has written the file since; that is left as it is",
        "{file}：上一次写入曾被中断，此后有人修改过该文件；保持其现状",
    }
    settled_not_understood(file: &str) {
        "{file}: what was noted of the last write is damaged; nothing was touched, and it is kept as *.damaged",
        "{file}：上一次写入的记录已损坏；未作任何改动，该记录保留为 *.damaged",
    }
    by_the_record(error: &str) { "{error}; restoring by what was recorded", "{error}；按已有记录恢复" }
    engine_disabled() { "[engine.docker] is disabled in mirrors.toml", "mirrors.toml 中 [engine.docker] 已停用" }
    enable_the_engine(config: &str) {
        "to have its list kept again: enabled = \"auto\" under [engine.docker] in {config}; what stood there before mirrorwatch comes back with: sudo mirrorwatch restore",
        "要重新维护其列表：在 {config} 的 [engine.docker] 中写 enabled = \"auto\"；要恢复 mirrorwatch 写入之前的内容：sudo mirrorwatch restore",
    }
    no_engine() { "no dockerd was found on this host", "本机没有找到 dockerd" }
    name_the_engine() {
        "where it is elsewhere, say so in mirrors.toml: [engine.docker] enabled = true, socket, config_file",
        "若安装在其他位置，请在 mirrors.toml 的 [engine.docker] 中写明 enabled = true、socket 和 config_file",
    }
    warning(what: &str, detail: &str, why: &str, mend: &str) {
        "warning: {what} ({detail}): {why}\n  hint: {mend}",
        "警告：{what}（{detail}）：{why}\n  提示：{mend}",
    }
    problem(detail: &str, what: &str, why: &str) { "{detail}\n{what}: {why}", "{detail}\n{what}：{why}" }
    problem_and_why(detail: &str, why: &str) { "{detail}\n{why}", "{detail}\n{why}" }
    paste_page_of_desktop() {
        "Docker Desktop: Settings > Docker Engine, then Apply & restart",
        "Docker Desktop：设置（Settings）> Docker Engine，然后点击 Apply & restart",
    }
    paste_page_of_orbstack() {
        "OrbStack: Settings > Docker, the engine's configuration; then: orb restart docker",
        "OrbStack：设置（Settings）> Docker 中的引擎配置，然后执行：orb restart docker",
    }
    paste_whole(app: &str, page: &str, file: &str) {
        "{app} configures its Docker itself, so nothing is written. The text on standard output is the whole configuration with the new list; to paste it:\n  where: {page}\n  file:  {file}\nThe application then restarts its engine, and containers with it.",
        "{app} 自行配置其 Docker，因此不写入任何内容。标准输出是带有新列表的完整配置，请粘贴到：\n  位置：{page}\n  文件：{file}\n该程序随后会重启其引擎，容器也会随之重启。",
    }
    paste_member(app: &str, page: &str, file: &str) {
        "{app} configures its Docker itself, so nothing is written. The text on standard output is the new list; take registry-mirrors over into what stands there already:\n  where: {page}\n  file:  {file}\nThe application then restarts its engine, and containers with it.",
        "{app} 自行配置其 Docker，因此不写入任何内容。标准输出是新列表，请把其中的 registry-mirrors 合并到已有的配置中：\n  位置：{page}\n  文件：{file}\n该程序随后会重启其引擎，容器也会随之重启。",
    }
    not_asked(problem: &str) {
        "the engine does not answer, so mirrors are judged without its images and its store: {problem}",
        "引擎没有应答，因此判断镜像源时不考虑本机镜像和存储类型：{problem}",
    }
    not_confined(why: &str) {
        "not kept from writing elsewhere: {why}",
        "未能限制写入范围：{why}",
    }
    see_the_other() { "what it does: mirrorwatch status", "查看其状态：mirrorwatch status" }
}

/// A configuration without errors, in numbers.
pub fn valid(lang: Lang, path: &str, mirrors: usize, enabled: usize) -> String {
    let plural = if mirrors == 1 { "" } else { "s" };
    let verb = if enabled == 1 { "takes" } else { "take" };
    valid_line(lang, path, mirrors, plural, enabled, verb)
}
