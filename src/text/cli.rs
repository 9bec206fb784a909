//! The words of the command line: help, man page, answers, errors.
#![expect(missing_docs, reason = "the sentences say what they say")]

use crate::text::messages;

messages! {
    // Help: the frame.
    /// The first line of every help, for whoever cannot read the rest.
    other_language(command: &str) { "中文: {command} --lang zh --help", "English: {command} --lang en --help" }
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
        "One round of probes, then the best are written into the engine's file, the engine reloads it, and its API must list them; otherwise the old file comes back. Exits 0 when the selection is in place.",
        "探测一轮，把最好的几个写入引擎配置并让其重载，再通过引擎 API 核实；若未生效则恢复原文件。选择已生效时退出码为 0。",
    }
    restore() { "Put back what the engine had before", "恢复引擎原先的列表" }
    restore_long() {
        "Puts back what each engine had before mirrorwatch first wrote, reloads and verifies, and pauses the service for that engine until `mirrorwatch resume`.",
        "恢复每个引擎在 mirrorwatch 首次写入之前的内容，重载并核实；之后服务对该引擎暂停，直到执行 mirrorwatch resume。",
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
        "Takes a mirror out of mirrors.d/local.toml; one that was shipped is switched off there instead, so that an upgrade does not bring it back.",
        "从 mirrors.d/local.toml 中删除；若是随软件附带的，则在其中停用，升级后不会再出现。",
    }
    completions() { "Completions for a shell", "生成 shell 补全脚本" }
    completions_long() {
        "Prints completions for a shell, such as: mirrorwatch completions bash > /etc/bash_completion.d/mirrorwatch",
        "输出 shell 补全脚本，例如：mirrorwatch completions bash > /etc/bash_completion.d/mirrorwatch",
    }
    man() { "The man page", "生成 man 手册页" }
    man_long() {
        "Prints the man page: mirrorwatch man | man -l -",
        "输出 man 手册页：mirrorwatch man | man -l -",
    }
    help() { "This help, or that of a command", "显示本帮助，或某个命令的帮助" }
    help_command() { "Whose help", "要查看的命令" }

    // Help: what commands take.
    json() { "One JSON object instead of text", "以 JSON 输出" }
    status_json() { "The status as JSON; with --watch one line whenever it changes", "以 JSON 输出状态；与 --watch 合用时，每次变化输出一行" }
    watch() { "Redraw every second until Ctrl-C", "每秒刷新，按 Ctrl-C 结束" }
    all() { "Show mirrors that are switched off too, and what the marks mean", "连同已停用的镜像源一并显示，并说明各标记的含义" }
    mirrors() { "Names from mirrors.toml, or URLs that need not be there", "mirrors.toml 中的名称，或任意 URL（不必在 mirrors.toml 中）" }
    image() { "What to ask for, such as library/nginx:latest", "探测所用的镜像，例如 library/nginx:latest" }
    depth() {
        "How far: connect (TCP and TLS), sample (a piece of a layer), rehearse (a pull's first steps in full) [default: rehearse]",
        "探测深度：connect（TCP 和 TLS）、sample（层的一小段）、rehearse（完整走一遍拉取的前几步）[默认：rehearse]",
    }
    dry_run() { "Write nothing; print the diff of every file that would change", "不写入；显示将要改动的文件的差异" }
    length() { "For how long, such as 30m, 2h, 1d; without it until resume", "暂停多久，例如 30m、2h、1d；不写则直到 resume" }
    file() { "Another file than --config's", "要检查的文件，默认为 --config 所指" }
    url() { "Where it is: scheme://host[:port]", "镜像源地址：scheme://host[:port]" }
    name() { "What to call it; else its host", "名称，默认为主机名" }
    which() { "Its name", "镜像源名称" }
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
    type_instead(command: &str) { "type: {command}", "请执行：{command}" }
    did_you_mean(what: &str) { "did you mean {what}?", "是不是想写 {what}？" }
    one_of(values: &str) { "one of: {values}", "可用的值：{values}" }
    see_help(command: &str) { "more: {command}", "查看帮助：{command}" }
    usage_error() { "the command line is not understood", "命令行有误" }
    unknown_argument(what: &str) { "there is no option {what}", "没有这个选项：{what}" }
    unknown_command(what: &str) { "there is no command {what}", "没有这个命令：{what}" }
    bad_value(what: &str, value: &str) { "{value} is no value for {what}", "{what} 的值不正确：{value}" }
    missing(what: &str) { "{what} is missing", "缺少：{what}" }
    missing_value(what: &str) { "{what} needs a value", "{what} 缺少值" }
    conflict(one: &str, other: &str) { "{one} and {other} do not go together", "{one} 与 {other} 不能同时使用" }
    bad_duration() { "expected a duration such as 30s, 5m, 2h", "请写成 30s、5m、2h 这样的时长" }
    no_duration() { "a pause must last a while, such as 30s, 5m, 2h", "暂停时长不能为零，请写成 30s、5m、2h 这样" }
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
    resumed_stopped() {
        "Resumed; the service is not running. Start it: sudo systemctl enable --now mirrorwatch",
        "已恢复；但服务没有运行，启动命令：sudo systemctl enable --now mirrorwatch",
    }
    resumed() { "Resumed: the list is kept right again.", "已恢复：继续维护镜像源列表。" }
    resumed_engines(engines: &str) { "Resumed, for {engines} too: the list is kept right again.", "已恢复（包括 {engines}）：继续维护镜像源列表。" }
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
    env_no_color() { "Set to anything: no colour, unless --color always.", "设为任意非空值即不使用颜色，除非指定 --color always。" }
    file_config() { "The candidates and every setting.", "候选镜像源与全部设置。" }
    file_local() { "What add and remove edit; further files there are read too, by name.", "add 和 remove 编辑的文件；同目录其他文件也会按名称顺序读取。" }
    file_status() { "The published status; status --json prints the same.", "发布的状态，与 status --json 的输出相同。" }
    file_state() { "Records, switches, the pause, what the engines had before.", "记录、切换历史、暂停状态，以及引擎原先的内容。" }
}
