//! The words of the command line: help, man page, answers, errors.
#![expect(missing_docs, reason = "the sentences say what they say")]

use crate::text::{Lang, messages};

messages! {
    // Help: the frame.
    /// The first line of every help, for whoever cannot read the rest.
    other_language(command: &str) { "中文：{command} --lang zh --help", "English: {command} --lang en --help" }
    about() {
        "Keeps Docker's registry mirrors at the fastest set that really serves.",
        "让 Docker 的镜像源始终是真正可用且最快的那几个。",
    }
    long_about() {
        "Keeps Docker's registry mirrors at the fastest set that really serves.\n\nIt probes every mirror of mirrors.toml the way docker pull would, and puts the best into daemon.json with a reload: Docker is never restarted, containers are never touched.",
        "让 Docker 的镜像源始终是真正可用且最快的那几个。\n\n它按 docker pull 的方式探测 mirrors.toml 中的每个镜像源，把最好的几个写入 daemon.json 并重载：不重启 Docker，也不影响容器。",
    }
    /// With the blank that its language puts behind a colon.
    heading_usage() { "Usage: ", "用法：" }
    heading_commands() { "Commands", "命令" }
    heading_arguments() { "Arguments", "参数" }
    heading_options() { "Options", "选项" }
    heading_globals() { "Global options", "全局选项" }
    after_help() {
        "Without a command: status.",
        "不带命令时等同于 status。",
    }
    after_long_help() {
        "Without a command: status.\n\nExit codes: 0 done, 1 not done or not healthy, 2 usage, 3 the service is not running, 4 not permitted, 78 mirrors.toml is invalid.",
        "不带命令时等同于 status。\n\n退出码：0 成功，1 未成功或状态不健康，2 用法错误，3 服务没有运行，4 权限不足，78 mirrors.toml 有错误。",
    }

    // Help: the commands.
    run() { "The service, in the foreground", "在前台运行服务" }
    run_long() {
        "The service, in the foreground: probes on the schedule of mirrors.toml, keeps the engine's list right, publishes its status. Ends on SIGTERM and SIGINT.",
        "在前台运行服务：按 mirrors.toml 的计划探测，维护引擎的镜像源列表，发布状态。收到 SIGTERM 或 SIGINT 时退出。",
    }
    /// What the units start; the help does not show it.
    unprivileged() { "Ask mirrorwatch-apply.service to write, as the unit does", "由 mirrorwatch-apply.service 负责写入（供 systemd 单元使用）" }
    apply_request() { "Do what the service asked for, publish what the engine is, and end: what mirrorwatch-apply.service does", "执行服务的请求、发布引擎状态后退出（供 mirrorwatch-apply.service 使用）" }
    status() { "What is selected and why, what is rejected and why", "当前选用了哪些、淘汰了哪些，以及原因" }
    status_long() {
        "What is selected and why, what is rejected and why, and whether the engine has it.\n\nExits 0 when healthy, 1 when not, 3 when the service is not running; the last known state is then shown with its age.",
        "当前选用了哪些、淘汰了哪些，以及原因；引擎是否已应用。\n\n健康时退出码为 0，不健康为 1，服务没有运行为 3（此时显示最后一次的状态及其时间）。",
    }
    probe() { "Ask mirrors now, change nothing", "立即探测，不作任何改动" }
    probe_long() {
        "One round of probes now; nothing is changed. Without names: every mirror that is enabled. Exits 0 when at least one is live, 1 when none is.",
        "立即探测一轮，不作任何改动。不写名称则探测所有启用的镜像源。至少一个可用时退出码为 0，否则为 1。",
    }
    apply() { "Probe, select, write, reload, verify: once", "探测、选择、写入、重载、核实，执行一次" }
    apply_long() {
        "One round of probes, then the best are written into the engine's file, the engine reloads it, and its API must list them; otherwise the old file comes back. Exits 0 when the selection is in place.\n\nDocker Desktop and OrbStack configure their Docker themselves: --dry-run prints what to paste and where, and without it nothing is done.",
        "探测一轮，把最好的几个写入引擎配置并让其重载，再通过引擎 API 核实；若未生效则恢复原文件。所选列表已生效时退出码为 0。\n\nDocker Desktop 和 OrbStack 自行配置其 Docker：--dry-run 会显示要粘贴的内容和位置，不加则不做任何改动。",
    }
    restore() { "Put back what the engine had before", "恢复引擎原先的列表" }
    restore_long() {
        "Puts back what each engine had before mirrorwatch first wrote, or with --to what it had before one of the last ten writes, reloads and verifies, and pauses the service for that engine until `mirrorwatch resume`. What others have changed in the file since stays.",
        "恢复每个引擎在 mirrorwatch 首次写入之前的内容，或用 --to 恢复到最近十次写入中某一次之前的内容，重载并核实；之后服务对该引擎暂停，直到执行 mirrorwatch resume。其他人此后对该文件的修改会保留。",
    }
    pause() { "Go on probing, write nothing", "继续探测，但暂停写入" }
    pause_long() {
        "The service goes on probing and writes nothing, until `mirrorwatch resume` or the end of --for. It outlives restarts.",
        "服务继续探测但不写入，直到执行 mirrorwatch resume 或 --for 到期。重启后依然有效。",
    }
    resume() { "End every pause", "结束暂停" }
    resume_long() {
        "Ends the pause of the service, and those of single engines that `restore` began.",
        "结束服务的暂停，以及 restore 造成的对单个引擎的暂停。",
    }
    why() { "What the last real pulls went through", "最近的实际拉取经过了什么" }
    why_long() {
        "What the last real pulls went through: which mirror was tried, why it was left, which one served. The service hears it from Docker's log, its connections and its events.\n\nExits 0, or 1 when nothing was found.",
        "最近的实际拉取经过了什么：尝试了哪些镜像源、为何放弃、最终由哪个提供。由服务从 Docker 的日志、连接和事件中获知。\n\n有记录时退出码为 0，没有则为 1。",
    }
    since() { "How far back [default: 1h]", "回溯多久 [默认：1h]" }
    explain() { "Everything known of one mirror, and what it lacks", "某个镜像源的全部情况，以及它还差什么" }
    explain_long() {
        "Everything known of one mirror: why it stands where it stands and since when, the parts of its predicted seconds, its stages, images and budget, its last failures and switches, and what it lacks to stand better. Works while the service is down and while mirrors.toml is invalid: it goes by what was recorded.\n\nExits 1 when there is no such mirror.",
        "某个镜像源的全部情况：为何处于当前位置、从何时起，预计耗时的各组成部分，各阶段耗时、镜像、预算，最近的失败与切换，以及要排得更靠前还差什么。服务没有运行或 mirrors.toml 有错误时也可用，依据已有记录。\n\n没有该镜像源时退出码为 1。",
    }
    history() { "What was observed, and what was switched", "探测与切换的历史" }
    history_long() {
        "Every probe and every switch, the latest last; probes of a mirror that ended alike one after the other share a line, and with a NAME only those that merely connect. Observations are kept for 30 days, those older than two days thinned; switches for ever. Works while the service is down and while mirrors.toml is invalid.\n\n--json: {{\"schema\": 1, \"since\", \"observations\": [{{\"at\", \"name\", \"url\", \"upstream\", \"depth\", \"image\", \"outcome\", \"stage\", \"detail\", \"stages_ms\", \"bytes_per_second\", \"requests\", \"refusals\", \"bytes\"}}], \"switches\": [as in the status]}}, the oldest first; outcome is served or the failure's word.",
        "所有探测与切换，最新的在最后；同一镜像源连续且结果相同的探测合并为一行，指定名称时只合并单纯的连接探测。探测记录保留 30 天，两天以前的逐步精简；切换记录永久保留。服务没有运行或 mirrors.toml 有错误时也可用。\n\n--json：{{\"schema\": 1, \"since\", \"observations\": [{{\"at\", \"name\", \"url\", \"upstream\", \"depth\", \"image\", \"outcome\", \"stage\", \"detail\", \"stages_ms\", \"bytes_per_second\", \"requests\", \"refusals\", \"bytes\"}}], \"switches\": [与 status 相同]}}，最旧的在前；outcome 为 served 或失败的代号。",
    }
    check() { "Validate mirrors.toml", "检查 mirrors.toml" }
    check_long() {
        "Validates mirrors.toml and mirrors.d beside it: every error with file, line and column, the line, a caret and a hint. Exits 0 when valid, 78 when not.",
        "检查 mirrors.toml 及同目录的 mirrors.d：每个错误给出文件、行、列、原文、位置标记和修改提示。有效时退出码为 0，否则为 78。",
    }
    add() { "Add a mirror", "添加镜像源" }
    add_long() {
        "Validates the URL, probes it, says what it saw, and adds it to mirrors.d/local.toml beside mirrors.toml. Comments and layout are kept.",
        "先校验并探测该 URL，说明结果，再写入 mirrors.toml 同目录的 mirrors.d/local.toml；注释和排版保持不变。",
    }
    remove() { "Remove a mirror", "移除镜像源" }
    remove_long() {
        "Takes a mirror out of mirrors.d/local.toml; one that stands in another file is switched off there instead, and that file is left as it is.",
        "从 mirrors.d/local.toml 中删除；若写在其他文件里，则在 local.toml 中停用，其他文件保持不变。",
    }
    completions() { "Completions for a shell", "生成 shell 补全脚本" }
    completions_long() {
        "Prints completions for a shell, such as: mirrorwatch completions bash > /etc/bash_completion.d/mirrorwatch",
        "输出 shell 补全脚本，例如：mirrorwatch completions bash > /etc/bash_completion.d/mirrorwatch",
    }
    man() { "The man page", "生成 man 手册页" }
    man_long() {
        "Prints a man page: mirrorwatch man | man -l - for the program, mirrorwatch man mirrors.toml | man -l - for its settings.",
        "输出 man 手册页：mirrorwatch man | man -l - 查看程序，mirrorwatch man mirrors.toml | man -l - 查看设置。",
    }
    page() {
        "Whose page: mirrorwatch, or mirrors.toml for every setting [default: mirrorwatch]",
        "要输出的手册页：mirrorwatch，或 mirrors.toml（全部设置）[默认：mirrorwatch]",
    }
    help() { "This help, or that of a command", "显示本帮助，或某个命令的帮助" }
    help_command() { "Whose help", "要查看的命令" }

    // Help: what commands take.
    no_pause() {
        "Do not pause the service: for when it is stopped for good, as before it is removed",
        "不暂停服务：用于服务已经停止、即将卸载的时候",
    }
    json() { "One JSON object instead of text", "以 JSON 输出" }
    status_json() { "The status as JSON; with --watch one line whenever it changes", "以 JSON 输出状态；与 --watch 合用时，每次变化输出一行" }
    watch() { "Redraw every second until Ctrl-C", "每秒刷新，按 Ctrl-C 结束" }
    all() { "Show mirrors that are switched off too, and what the marks mean", "连同已停用的镜像源一并显示，并说明各标记的含义" }
    mirrors() { "Names from mirrors.toml, or URLs that need not be there", "mirrors.toml 中的名称，或任意 URL（不必在 mirrors.toml 中）" }
    image() { "What to ask for, such as library/nginx:latest", "探测所用的镜像，例如 library/nginx:latest" }
    depth() {
        "How far: connect (TCP and TLS), sample (a piece of a layer), rehearse (a pull's first steps in full) [default: rehearse]",
        "探测深度：connect（连接：TCP 和 TLS）、sample（抽样：层的一小段）、rehearse（演练：完整走一遍拉取的前几步）[默认：rehearse]",
    }
    dry_run() { "Write nothing; print the diff of every file that would change", "不写入；显示将要改动的文件的差异" }
    with_pending() {
        "Reload also when that activates edits of others that wait in the engine's file",
        "即使重载会使他人尚未生效的修改一并生效，也照常进行",
    }
    list() { "Show what can be restored, change nothing", "列出可以恢复的内容，不作任何改动" }
    to() { "Which of --list; else the first", "恢复到 --list 中的哪一个；不写则为最初的内容" }
    length() { "For how long, such as 30m, 2h, 1d; without it until resume", "暂停多久，例如 30m、2h、1d；不写则直到 resume" }
    file() { "Another file than --config's", "要检查的文件，默认为 --config 所指" }
    url() { "Where it is: scheme://host[:port]", "镜像源地址：scheme://host[:port]" }
    name() { "What to call it; else its host", "名称，默认为主机名" }
    name_or_url() { "Its name or its URL", "镜像源的名称或 URL" }
    history_since() { "How far back, such as 30m, 24h, 7d [default: 24h]", "回溯多久，例如 30m、24h、7d [默认：24h]" }
    shell() { "bash, zsh, fish, elvish or powershell", "bash、zsh、fish、elvish 或 powershell" }

    // Help: the global options.
    config(path: &str) { "mirrors.toml [env: MIRRORWATCH_CONFIG] [default: {path}]", "mirrors.toml 的路径 [环境变量：MIRRORWATCH_CONFIG] [默认：{path}]" }
    state_dir(path: &str) { "Where history is kept [env: STATE_DIRECTORY] [default: {path}]", "状态目录 [环境变量：STATE_DIRECTORY] [默认：{path}]" }
    runtime_dir(path: &str) { "Where the status is published [env: RUNTIME_DIRECTORY] [default: {path}]", "运行时目录 [环境变量：RUNTIME_DIRECTORY] [默认：{path}]" }
    verbose() { "Say more; twice: still more", "输出更多信息；可重复使用" }
    quiet() { "Only errors, and the exit code", "只输出错误，以退出码表示结果" }
    lang() { "Language of text for people: en or zh [env: MIRRORWATCH_LANG] [default: the locale's]", "界面语言：en 或 zh [环境变量：MIRRORWATCH_LANG] [默认：随系统区域设置]" }
    color() { "auto, always or never [default: auto: on a terminal, unless NO_COLOR is set]", "彩色输出：auto、always 或 never [默认：auto，即在终端上启用，设置 NO_COLOR 则不用]" }
    show_help() { "Print help; --help says more than -h", "显示帮助；--help 比 -h 更详细" }
    show_version() { "Print the version", "显示版本" }

    // Errors and hints.
    error() { "error: ", "错误：" }
    hint() { "hint: ", "提示：" }
    not_even_root() {
        "root itself is not let: see findmnt -T, lsattr -d and the system's log (AppArmor, SELinux) on the path that is named",
        "连 root 也没有权限：对给出的路径执行 findmnt -T、lsattr -d，并查看系统日志（AppArmor、SELinux）",
    }
    type_instead(command: &str) { "type: {command}", "请执行：{command}" }
    did_you_mean(what: &str) { "did you mean {what}?", "是不是想写 {what}？" }
    one_of(values: &str) { "one of: {values}", "可用的值：{values}" }
    see_help(command: &str) { "more: {command}", "查看帮助：{command}" }
    usage_error() { "the command line is not understood", "命令行有误" }
    unknown_argument(what: &str) { "there is no option {what}", "没有这个选项：{what}" }
    surplus_argument(what: &str) { "{what} is one argument too many", "多余的参数：{what}" }
    unknown_command(what: &str) { "there is no command {what}", "没有这个命令：{what}" }
    bad_value(what: &str, value: &str) { "{value} is no value for {what}", "{what} 的值不正确：{value}" }
    missing(what: &str) { "{what} is missing", "缺少：{what}" }
    missing_value(what: &str) { "{what} needs a value", "{what} 缺少值" }
    conflict(one: &str, other: &str) { "{one} and {other} do not go together", "{one} 与 {other} 不能同时使用" }
    bad_number() { "expected a number of `restore --list`, such as 0 or 3", "请写 restore --list 中的编号，例如 0、3" }
    bad_duration() { "expected a duration such as 30s, 5m, 2h", "请写成 30s、5m、2h 这样的时长" }
    no_duration() { "it must last a while, such as 30s, 5m, 2h", "时长不能为零，请写成 30s、5m、2h 这样" }
    image_empty() {
        "an image needs a name, such as library/busybox:latest",
        "没有写出镜像名，请写成 library/busybox:latest 这样",
    }
    image_other_registry() {
        "only images of Docker Hub can be asked of its mirrors",
        "只能向 Docker Hub 的镜像源请求 Docker Hub 上的镜像",
    }
    image_digest() { "a tag is wanted, not a digest", "这里要写标签，不能写摘要" }
    image_character() {
        "not an image name, such as library/busybox:latest",
        "不是合法的镜像名，请写成 library/busybox:latest 这样",
    }
    not_running() { "the service is not running, so there is no status to show", "服务没有运行，因此没有状态可显示" }
    not_running_detail(file: &str) { "{file}: the service is not running, and its last state cannot be read", "{file}：服务没有运行，且无法读取它最后的状态" }
    not_running_invalid(error: &str) {
        "the service is not running, and mirrors.toml is invalid: {error}",
        "服务没有运行，且 mirrors.toml 有错误：{error}",
    }
    start_service() { "sudo systemctl enable --now mirrorwatch, or by hand: sudo mirrorwatch run", "sudo systemctl enable --now mirrorwatch，或手动运行：sudo mirrorwatch run" }
    unusable_status() { "another version may have written it: sudo systemctl restart mirrorwatch", "可能由其他版本写入：sudo systemctl restart mirrorwatch" }
    broken_pause(file: &str) { "{file}: was not understood, and is replaced", "{file}：内容无法识别，已被替换" }
    stdout(cause: &str) { "standard output: write: {cause}", "标准输出：写入失败：{cause}" }
    signals(cause: &str) { "signals: {cause}", "信号：{cause}" }

    // Answers.
    paused(what: &str) { "Paused until `mirrorwatch resume`: {what}.", "已暂停，直到执行 mirrorwatch resume：{what}。" }
    paused_for(length: &str, at: &str, what: &str) {
        "Paused for {length} (until {at}), or until `mirrorwatch resume`: {what}.",
        "已暂停 {length}（至 {at}），可用 mirrorwatch resume 提前恢复：{what}。",
    }
    goes_on() { "probing goes on, nothing is written", "继续探测，但不写入" }
    is_not_running() { "the service is not running now; once started, it probes and writes nothing", "服务目前没有运行；启动后只探测，不写入" }
    is_silent() { "the service shows no sign of life now (mirrorwatch status has more); once it does, it probes and writes nothing", "服务目前没有响应（详见 mirrorwatch status）；恢复后只探测，不写入" }
    resumed_silent() {
        "Resumed; but the service shows no sign of life. See what to do: mirrorwatch status",
        "已恢复；但服务没有响应，处理办法见：mirrorwatch status",
    }
    resumed_stopped() {
        "Resumed; the service is not running. Start it: sudo systemctl enable --now mirrorwatch",
        "已恢复；但服务没有运行，启动命令：sudo systemctl enable --now mirrorwatch",
    }
    resumed() { "Resumed: the list is kept right again.", "已恢复：继续维护镜像源列表。" }
    resumed_engines(engines: &str) { "Resumed, for {engines} too: the list is kept right again.", "已恢复（包括 {engines}）：继续维护镜像源列表。" }
    gave_way() {
        "Nothing was paused: the service has stopped writing for an hour, because another program keeps rewriting the list. Switch that off; then: sudo mirrorwatch apply",
        "当前没有暂停：另一个程序反复改写列表，服务因此在一小时内不再写入。请先关闭那个程序的改写，然后执行：sudo mirrorwatch apply",
    }
    was_not_paused() { "Nothing was paused.", "当前没有暂停。" }

    // The man page.
    man_manual() { "mirrorwatch manual", "mirrorwatch 手册" }
    man_name() { "NAME", "名称" }
    man_synopsis() { "SYNOPSIS", "概要" }
    man_description() { "DESCRIPTION", "描述" }
    man_commands() { "COMMANDS", "命令" }
    man_globals() { "GLOBAL OPTIONS", "全局选项" }
    man_exit() { "EXIT STATUS", "退出码" }
    man_environment() { "ENVIRONMENT", "环境变量" }
    man_files() { "FILES", "文件" }
    man_see_also() { "SEE ALSO", "参见" }
    settings_name() { "which mirrors there are, and how mirrorwatch chooses among them", "候选镜像源，以及 mirrorwatch 如何选择" }
    settings_description() {
        "Every key but those of [[mirror]] has a default, shown here behind it, which holds where the key is left out. An edit takes effect by itself; one that is wrong changes nothing, and mirrorwatch check shows each mistake with its line.\n\nFiles in mirrors.d beside it hold [[mirror]] tables only: more candidates, or other words on one of the same name. An upgrade leaves them alone.\n\nDurations are written as 90s, 10m, 2h; sizes as 64KiB, 24MiB.",
        "除 [[mirror]] 中的键以外都有默认值，即下文各键后面的值；省略某个键等于使用默认值。保存后自动生效；写错了不会影响现状，用 mirrorwatch check 查看错误所在的行。\n\n同目录 mirrors.d 中的文件只能包含 [[mirror]]：可以增加候选，或按名称覆盖已有的设置。升级不会改动这些文件。\n\n时长写作 90s、10m、2h，容量写作 64KiB、24MiB。",
    }
    exit_ok() { "Done; healthy; at least one live.", "成功；健康；至少一个可用。" }
    exit_failed() { "Not done; not healthy; none live.", "未成功；不健康；没有可用的。" }
    exit_usage() { "The command line is not understood.", "命令行用法错误。" }
    exit_not_running() { "The service is not running; status still shows the last known state.", "服务没有运行；status 仍会显示最后一次的状态。" }
    exit_not_permitted() { "Not permitted; the command to type instead is printed.", "权限不足；会提示应执行的命令。" }
    exit_config() { "mirrors.toml is invalid.", "mirrors.toml 有错误。" }
    env_config() { "What --config says when it is not given.", "未给出 --config 时使用。" }
    env_state() { "What --state-dir says when it is not given; of several, separated by colons, the first.", "未给出 --state-dir 时使用；以冒号分隔多个时取第一个。" }
    env_runtime() { "What --runtime-dir says when it is not given; of several, separated by colons, the first.", "未给出 --runtime-dir 时使用；以冒号分隔多个时取第一个。" }
    env_lang() { "What --lang says when it is not given; then LC_ALL, LC_MESSAGES, LANG.", "未给出 --lang 时使用；其次为 LC_ALL、LC_MESSAGES、LANG。" }
    env_no_color() { "Set and not empty: no colour, unless --color always.", "设为任意非空值即不使用颜色，除非指定 --color always。" }
    file_config() { "The candidates and every setting.", "候选镜像源与全部设置。" }
    file_local() { "What add and remove edit; further files there are read too, by name.", "add 和 remove 编辑的文件；同目录其他文件也会按名称顺序读取。" }
    file_status() { "The published status; status --json prints the same.", "发布的状态，与 status --json 的输出相同。" }
    file_state() { "Records and switches.", "记录和切换历史。" }
    file_root_state() {
        "The pause and what the engines had before, which only root can write. Run as another user, mirrorwatch keeps both with the records.",
        "暂停状态和引擎原先的内容，只有 root 可以写入。以其他用户身份运行时，两者与记录放在一起。",
    }
}

/// What a table of mirrors.toml is for; `None` for those of which nothing is to be said.
pub fn settings_table(lang: Lang, table: &str) -> Option<String> {
    match table {
        "[probe]" => Some(table_probe(lang)),
        "[schedule]" => Some(table_schedule(lang)),
        "[budget]" => Some(table_budget(lang)),
        "[select]" => Some(table_select(lang)),
        "[engine.docker]" => Some(table_docker(lang)),
        "[engine.containerd]" | "[engine.podman]" | "[engine.buildkit]" => Some(table_unused(lang)),
        "[[mirror]]" => Some(table_mirror(lang)),
        _ => None,
    }
}

messages! {
    table_probe() { "How a mirror is asked.", "如何探测。" }
    table_schedule() { "How often; jitter only shortens these.", "探测频率；随机抖动只会缩短间隔。" }
    table_budget() { "At most this much of each mirror.", "每个镜像源的探测上限。" }
    table_select() { "How the list is chosen.", "如何选择。" }
    table_docker() { "Where Docker is, and how its list is changed.", "Docker 的位置，以及如何修改它的列表。" }
    table_unused() { "Read and not used: this version configures dockerd only.", "会读取但不使用：此版本只支持 dockerd。" }
    table_mirror() { "A candidate; any number of them. What is shown behind a key is its default, but for name and url, which have none.", "候选镜像源，数量不限。键后面的值是默认值；name 和 url 没有默认值。" }
}
