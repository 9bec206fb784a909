//! What is said about mirrors.toml.

use std::fmt::Display;

use super::messages;

messages! {
    /// The word before an error.
    error() { "error", "错误" }
    /// The word before a warning.
    warning() { "warning", "警告" }
    /// The word before a hint.
    hint() { "hint", "提示" }
    /// A proposal.
    did_you_mean(meant: &str) { "did you mean {meant}?", "是不是想写 {meant}？" }

    /// The file.
    missing() { "no such file", "文件不存在" }
    /// What to do.
    missing_hint() {
        "--config FILE names another one; a package puts it at /etc/mirrorwatch/mirrors.toml",
        "可用 --config 文件名 指定；软件包会把它装在 /etc/mirrorwatch/mirrors.toml",
    }
    /// The file.
    dangling_link() { "a link that leads nowhere", "这是一个失效的符号链接" }
    /// What to do.
    dangling_link_hint() { "mend or remove it; where it leads: ls -l FILE", "请修复或删除该链接；查看其指向：ls -l 文件名" }
    /// The file.
    forbidden() { "may not be read by this user", "当前用户无权读取" }
    /// What to do.
    forbidden_hint() { "try again with sudo, or let everybody read it: chmod a+r FILE", "请用 sudo 重试，或放开读权限：chmod a+r 文件名" }
    /// The file.
    directory() { "this is a directory, not a file", "这是目录，不是文件" }
    /// What to do.
    directory_hint() { "name the file in it, such as mirrors.toml", "请写出目录里的文件，例如 mirrors.toml" }
    /// mirrors.d.
    not_a_directory() { "must be a directory", "必须是目录" }
    /// What to do.
    not_a_directory_hint() { "files in mirrors.d/ add mirrors; rename this one", "mirrors.d/ 目录里的文件用来补充镜像源；请把这个文件改名" }
    /// The file.
    unreadable(cause: &str) { "cannot be read: {cause}", "无法读取：{cause}" }
    /// The file.
    too_large() { "larger than 1 MiB: surely not a mirrors.toml", "超过 1 MiB，应该不是 mirrors.toml" }
    /// The file.
    not_utf8() { "not UTF-8 text from here on", "从这里开始不是 UTF-8 文本" }
    /// What to do.
    encoding_hint(encoding: &str) {
        "it looks like {encoding}: iconv -f {encoding} -t UTF-8 FILE > NEW",
        "看起来是 {encoding} 编码：iconv -f {encoding} -t UTF-8 原文件 > 新文件",
    }
    /// What to do.
    encoding_unknown_hint() { "save the file as UTF-8", "请将文件另存为 UTF-8 编码" }

    /// The whole file.
    empty_file() { "the file is empty", "文件是空的" }
    /// What to do.
    empty_file_hint() {
        "an editor may have just cut it off: restore it; at least one [[mirror]] is needed",
        "可能是编辑器刚把它截断了，请恢复内容；至少需要一个 [[mirror]]",
    }
    /// The whole configuration.
    no_mirror() { "there is no [[mirror]], neither here nor in mirrors.d", "这里和 mirrors.d 里都没有 [[mirror]]" }
    /// What to do.
    no_mirror_hint() {
        "add one: a line [[mirror]], then name = \"...\" and url = \"https://...\" below it",
        "请添加：先写一行 [[mirror]]，下面写 name = \"...\" 和 url = \"https://...\"",
    }

    /// A key.
    unknown_key(key: &str, table: &str) { "unknown key {key} in {table}", "{table} 中没有 {key} 这个键" }
    /// A key.
    unknown_key_at_the_top(key: &str) { "unknown key {key} outside any table", "文件顶层没有 {key} 这个键" }
    /// A table.
    unknown_table(name: &str) { "unknown table {name}", "没有 {name} 这个表" }
    /// Where a key belongs.
    belongs(table: &str) { "it belongs under {table}", "它应写在 {table} 下面" }
    /// All that there is.
    one_of(list: &str) { "known here: {list}", "这里可用的有：{list}" }
    /// A table.
    not_here(name: &str) { "{name} may not stand in a file of mirrors.d", "mirrors.d 里的文件不能有 {name}" }
    /// What to do.
    not_here_hint() {
        "files of mirrors.d hold [[mirror]] and nothing else; settings go into mirrors.toml",
        "mirrors.d 里的文件只放 [[mirror]]；其他设置请写进 mirrors.toml",
    }
    /// A table.
    one_bracket(name: &str) { "{name} needs double brackets: there can be many", "{name} 可以有多个，要用双层方括号" }
    /// A table.
    two_brackets(name: &str) { "{name} needs single brackets: there is only one", "{name} 只有一个，只用单层方括号" }

    /// A value.
    unexpected(expected: &str, found: &str) { "expected {expected}, found {found}", "应为{expected}，实际是{found}" }
    /// What was expected.
    expected_text() { "text in quotes", "带引号的文本" }
    /// What was expected.
    expected_texts() { "a list such as [\"a\", \"b\"]", "列表，例如 [\"a\", \"b\"]" }
    /// What was expected.
    expected_whole(least: u32, most: u32) { "a whole number from {least} to {most}", " {least} 到 {most} 之间的整数" }
    /// What was expected.
    expected_fraction() { "a number from 0 to 1 such as 0.2", " 0 到 1 之间的数，例如 0.2" }
    /// What was expected.
    expected_flag() { "true or false", " true 或 false" }
    /// What was expected.
    expected_duration() { "a duration such as 30s, 5m, 2h", "时长，例如 30s、5m、2h" }
    /// What was expected.
    expected_size() { "a size such as 64KiB, 24MiB", "大小，例如 64KiB、24MiB" }
    /// What was expected.
    expected_switch() { "true, false or \"auto\"", " true、false 或 \"auto\"" }
    /// What was expected.
    expected_url() { "a URL such as \"https://docker.m.daocloud.io\"", "地址，例如 \"https://docker.m.daocloud.io\"" }
    /// What was expected.
    expected_proxy() {
        "\"engine\", \"none\" or a URL such as http://127.0.0.1:7890 (http, https, socks5)",
        " \"engine\"、\"none\" 或代理地址，例如 http://127.0.0.1:7890（http、https、socks5）",
    }
    /// What was expected.
    expected_reload() {
        "\"auto\", \"systemd\", \"signal\", \"none\" or a command such as [\"rc-service\", \"docker\", \"reload\"]",
        " \"auto\"、\"systemd\"、\"signal\"、\"none\" 或命令，例如 [\"rc-service\", \"docker\", \"reload\"]",
    }
    /// What was expected.
    expected_path() { "an absolute path, beginning with /", "以 / 开头的绝对路径" }
    /// What was expected.
    expected_unit() { "a systemd service such as docker.service", " systemd 服务名，例如 docker.service" }
    /// What was expected.
    expected_registry() { "a registry's host such as docker.io", "镜像仓库的主机名，例如 docker.io" }
    /// What was expected.
    expected_table() { "a table", "表" }
    /// What was expected.
    expected_command() {
        "a command, one word each, such as [\"/usr/local/bin/notify\", \"--quiet\"]",
        "命令，每个词一项，例如 [\"/usr/local/bin/notify\", \"--quiet\"]",
    }
    /// What was found.
    found_text(said: &str) { "{said}", " {said}" }
    /// What was found.
    found_number(number: &str) { "the number {number}", "数字 {number}" }
    /// What was found.
    found_date(date: &str) { "the date {date}", "日期 {date}" }
    /// What was found.
    found_list() { "a list", "列表" }
    /// What was found.
    found_table() { "a table", "表" }
    /// Out of range.
    duration_range(most: &dyn Display, found: &str) {
        "expected a duration longer than 0 and at most {most}, found {found}",
        "时长应大于 0 且不超过 {most}，实际是 {found}",
    }
    /// What to do.
    month_hint() { "a capital M means months; minutes are m", "大写 M 表示月；分钟请写小写 m" }
    /// Out of range.
    size_range(most: &str, found: &str) {
        "expected a size greater than 0 and at most {most}, found {found}",
        "大小应大于 0 且不超过 {most}，实际是 {found}",
    }

    /// A URL.
    url_empty() { "the URL is empty", "URL 为空" }
    /// A URL.
    url_blank() { "the URL has a blank or a control character in it: Docker refuses it", "URL 里有空白或控制字符，Docker 会拒绝" }
    /// A URL.
    url_placeholder(placeholder: &str) { "{placeholder} is a placeholder, not a host", "{placeholder} 是占位符，不是主机名" }
    /// A URL.
    url_no_scheme() { "the URL has no https:// or http:// in front: Docker refuses it", "URL 前面缺少 https:// 或 http://，Docker 会拒绝" }
    /// A URL.
    url_other_scheme() { "a mirror is reached by https:// or http:// only", "镜像源地址只能以 https:// 或 http:// 开头" }
    /// A URL.
    url_no_host() { "the URL has no host", "URL 里没有主机名" }
    /// A URL.
    url_host() { "the URL's host is neither a name nor an address", "URL 里的主机既不是域名也不是 IP 地址" }
    /// A URL.
    url_port() { "the URL's port is not a number from 1 to 65535", "URL 的端口不是 1 到 65535 之间的数字" }
    /// A URL.
    url_user_info() { "the URL has a user or a password in it: Docker refuses it", "URL 里带有用户名或密码，Docker 会拒绝" }
    /// A URL.
    url_path() {
        "the URL has a path: Docker takes scheme://host[:port] only",
        "URL 里带有路径，Docker 只接受 scheme://主机[:端口]",
    }
    /// A URL.
    url_query() { "the URL has a query (?...): Docker refuses it", "URL 里带有查询参数（?...），Docker 会拒绝" }
    /// A URL.
    url_fragment() { "the URL has a fragment (#...): Docker refuses it", "URL 里带有片段（#...），Docker 会拒绝" }
    /// What to write.
    url_form_hint() { "write https://host or https://host:port", "请写成 https://主机 或 https://主机:端口" }
    /// What to write.
    url_ascii_hint() {
        "write the name in ASCII letters; a Chinese domain as xn--...",
        "域名要用英文字母；中文域名请写成 xn--... 的形式",
    }
    /// What to write.
    url_user_info_hint() {
        "leave it out: Docker sends no login to a mirror, so one that needs a login cannot be one",
        "请去掉：Docker 不会向镜像源发送登录信息，需要登录的地址不能用作镜像源",
    }
    /// What to write.
    url_path_hint() {
        "give the mirror a host or a port of its own: Nexus a connector port for the repository \
         (http://nexus:8082), Harbor a proxy in front that turns /v2/ into /v2/PROJECT/",
        "请给镜像源单独的主机名或端口：Nexus 为该仓库开一个连接器端口（http://nexus:8082）；\
         Harbor 在前面加一层反向代理，把 /v2/ 转成 /v2/项目名/",
    }
    /// What to write.
    placeholder_aliyun() {
        "your own code is at https://cr.console.aliyun.com under Image Tools > Image Accelerator; \
         it answers only inside Alibaba Cloud and serves old images, so elsewhere delete this entry",
        "专属加速地址在 https://cr.console.aliyun.com 的“镜像工具 > 镜像加速器”里；\
         它只在阿里云内可用，且镜像陈旧，其他环境请删掉这一项",
    }
    /// What to write.
    placeholder_huawei() {
        "your own code is in Huawei Cloud's SWR console under Image Resources > Mirror Accelerator",
        "专属加速地址在华为云 SWR 控制台的“镜像资源 > 镜像中心 > 镜像加速器”里",
    }
    /// What to write.
    placeholder_hint(placeholder: &str) {
        "put your own value where {placeholder} stands, or delete this entry",
        "请把 {placeholder} 换成你自己的值，或删掉这一项",
    }

    /// An image.
    image_empty(said: &str) { "{said} names no image", "{said} 没有写出镜像名" }
    /// An image.
    image_other_registry(said: &str) { "{said} is not on Docker Hub", "{said} 不在 Docker Hub 上" }
    /// An image.
    image_digest(said: &str) { "{said} is named by digest; a tag is wanted", "{said} 写的是摘要，这里要写标签" }
    /// An image.
    image_character(said: &str) { "{said} is not an image's name", "{said} 不是合法的镜像名" }
    /// What to write.
    image_form_hint() { "write it as library/busybox:latest, in lower case", "请写成 library/busybox:latest 的形式，用小写" }
    /// What to write.
    image_other_registry_hint() { "a mirror of Docker Hub has only Docker Hub's images", "Docker Hub 的镜像源只有 Docker Hub 的镜像" }
    /// What to write.
    image_digest_hint() { "tags are what gets stale: write library/busybox:latest", "会过期的是标签，请写成 library/busybox:latest" }

    /// A name.
    name_empty() { "the name is empty", "名称为空" }
    /// A name.
    name_edges() { "the name begins or ends with a blank", "名称首尾有空格" }
    /// A name.
    name_control() { "the name has a control character in it", "名称里有控制字符" }
    /// A name.
    name_too_long(most: usize) { "the name is longer than {most} characters", "名称超过 {most} 个字符" }
    /// A name.
    name_url() { "the name looks like a URL: commands could not tell them apart", "名称看起来像 URL，命令行无法区分" }
    /// A name.
    name_dash() { "the name begins with a dash: commands would take it for an option", "名称以短横线开头，命令行会当成选项" }
    /// A mirror.
    name_missing() { "this [[mirror]] has no name", "这个 [[mirror]] 没有 name" }
    /// What to do.
    name_missing_hint(name: &str) { "add: name = \"{name}\"", "请添加：name = \"{name}\"" }
    /// A mirror.
    url_missing(name: &str) { "the new mirror {name} has no url", "新镜像源 {name} 没有 url" }
    /// What to do.
    url_missing_hint() { "add: url = \"https://...\"", "请添加：url = \"https://...\"" }
    /// What to do.
    override_hint(near: &str) {
        "to change an existing one, use its exact name: name = \"{near}\"",
        "要修改已有的镜像源，名称须完全一致：name = \"{near}\"",
    }
    /// A mirror.
    duplicate_name(name: &str) { "there are two mirrors named {name} in this file", "此文件里有两个名为 {name} 的镜像源" }
    /// What to do.
    duplicate_name_hint(file: &dyn Display, line: usize) {
        "the first is at {file}:{line}: rename or delete one",
        "第一个在 {file}:{line}，请改名或删掉一个",
    }
    /// A mirror.
    duplicate_url(url: &str, name: &str) { "{url} is already the mirror {name}", "{url} 已经是镜像源 {name}" }
    /// What to do.
    duplicate_url_hint(file: &dyn Display, line: usize) {
        "the first is at {file}:{line}: delete one",
        "第一个在 {file}:{line}，请删掉一个",
    }
    /// A mirror.
    replaces(url: &str, name: &str) { "{url} takes the place of the mirror {name}", "{url} 会取代镜像源 {name}" }
    /// What to do.
    replaces_hint(file: &dyn Display, line: usize, name: &str) {
        "that one is at {file}:{line}; to change it, write name = \"{name}\" here",
        "原来的在 {file}:{line}；若只想修改它，请在这里写 name = \"{name}\"",
    }

    /// An engine.
    engine_not_supported(engine: &str) {
        "{engine} is not supported by this version: nothing will be configured there",
        "此版本尚不支持 {engine}，不会对它做任何配置",
    }
    /// What to do.
    engine_not_supported_hint() { "write enabled = false or \"auto\" until it is", "在支持之前，请写 enabled = false 或 \"auto\"" }
    /// A mirror.
    upstream_not_supported(upstream: &str) {
        "Docker's mirror list is for docker.io only: a mirror of {upstream} is left out",
        "Docker 的镜像源列表只对 docker.io 有效，{upstream} 的镜像源不会用到",
    }
    /// What to do.
    upstream_not_supported_hint() { "write enabled = false to silence this", "写上 enabled = false 即可消除此警告" }
    /// `ca_file`.
    ca_file(why: &str) { "cannot be used as certificates (PEM): {why}", "无法用作 PEM 证书：{why}" }
    /// What to do.
    ca_file_hint() { "set ca_file to a PEM file, or to \"\" for none", "请将 ca_file 设为 PEM 文件；不需要时设为 \"\"" }
    /// `command` of `[notify]`.
    no_program(program: &str) { "there is no program {program}: nobody would be notified", "找不到程序 {program}，将无法发出通知" }
    /// What to do.
    no_program_hint() {
        "write its whole path, and see that it may be run: chmod a+x PROGRAM",
        "请写完整路径，并确认它有执行权限：chmod a+x 程序",
    }
    /// `images` of `[probe]`.
    no_image(instead: &str) {
        "no image is named, and with learn_images = false none is learned: mirrors are asked for {instead} all the same",
        "未指定镜像，而 learn_images = false 又不使用本机的镜像：仍会用 {instead} 探测",
    }
    /// What to do.
    no_image_hint() {
        "a mirror that is asked for nothing cannot be judged: name an image that is pulled here, or remove the line",
        "不请求任何镜像就无法判断镜像源：请写一个会在本机拉取的镜像，或删除这一行",
    }
    /// Entries to keep.
    unverified(kept: &str) {
        "with {kept} in the list, Docker's containerd image store asks all other mirrors and Docker Hub without verifying who answers",
        "列表中有 {kept} 时，Docker 的 containerd 镜像存储访问其他镜像源和 Docker Hub 时也不再验证对方的证书"
    }
    /// What to do.
    unverified_hint() {
        "leave it out, or name an https address that is not loopback; with the classic image store (docker info: Storage Driver overlay2) nothing is to be done",
        "请删除，或换成不是本机回环的 https 地址；如果用的是传统镜像存储（docker info 显示 Storage Driver: overlay2），则无需处理"
    }
    /// A group.
    empty_group(group: &str) { "no mirror is in the group {group}", "没有镜像源属于分组 {group}" }
    /// What to do.
    empty_group_hint() { "a mirror joins by group = \"...\"", "在 [[mirror]] 里写 group = \"...\" 即可加入分组" }
    /// One budget, divided.
    part_too_small(key: &str, share: &u32) { "{key} divided by {share} is less than one rehearsal may cost, and that much is taken for it", "{key} 除以 {share} 还不够一次演练所需，将按一次演练所需计算" }
    /// What to do.
    part_too_small_hint(hosts: &u32) { "of more than {hosts} hosts, all together may pass the budget", "主机多于 {hosts} 台时，合计可能超出上限" }
    /// What to do.
    part_too_small_alone_hint() { "below that no mirror can be rehearsed", "低于此数就无法对镜像源做演练" }
    /// The schedule and a budget.
    rehearsed_less(budget: &str, every: &humantime::FormattedDuration) {
        "rehearse is more often than {budget} carries: a mirror that is not selected is rehearsed at most once in {every}",
        "rehearse 过于频繁，{budget} 不够用：未选用的镜像源最多每 {every} 演练一次",
    }
    /// The same of samples.
    sampled_less(budget: &str, every: &humantime::FormattedDuration) {
        "sample is more often than {budget} carries: a selected mirror is sampled at most once in {every}",
        "sample 过于频繁，{budget} 不够用：已选用的镜像源最多每 {every} 抽样一次",
    }
    /// What to do.
    asked_less_hint(budget: &str, key: &str) {
        "raise {budget} in [budget], or set {key} in [schedule] to that",
        "请调大 [budget] 的 {budget}，或把 [schedule] 的 {key} 设为该值",
    }
    /// The whole configuration.
    nobody_takes_part() { "no mirror takes part: all are disabled, in other groups, or for another registry", "没有镜像源参与：全部被停用、不在所选分组里，或对应其他仓库" }
    /// What to do.
    nobody_takes_part_hint() { "see groups in [select], and enabled in each [[mirror]]", "请检查 [select] 的 groups 和各 [[mirror]] 的 enabled" }

    /// Not TOML.
    syntax_unquoted(said: &str) { "text must stand in quotes: {said}", "文本要加引号：{said}" }
    /// Not TOML.
    syntax_no_value() { "a value is missing after =", "= 后面没有值" }
    /// Not TOML.
    syntax_twice(key: &str) { "{key} stands here a second time", "{key} 重复出现" }
    /// What to do.
    syntax_twice_hint() { "keep one of the two, and everything below one heading", "只保留一处，相关内容写在同一个标题下" }
    /// Not TOML.
    syntax_no_equals() { "an = and a value are missing after this key", "键后面缺少 = 和值" }
    /// Not TOML.
    syntax_open_quote() { "the closing quote is missing", "缺少结尾的引号" }
    /// Not TOML.
    syntax_open_bracket() { "the closing ] is missing", "缺少结尾的 ]" }
    /// Not TOML.
    syntax_no_comma() { "a comma or the closing ] is missing before this", "此处之前缺少逗号或结尾的 ]" }
    /// Not TOML.
    syntax_left_over() { "something is left over after the value", "值后面有多余的内容" }
    /// Not TOML.
    syntax_key() { "a key may hold only letters, digits, - and _", "键只能用英文字母、数字、- 和 _" }
    /// Not TOML.
    syntax_flag() { "this is no number, no text in quotes, and neither true nor false", "这不是数字，不是带引号的文本，也不是 true 或 false" }
    /// Not TOML.
    syntax_escape() { "a backslash in \"...\" must be doubled", "双引号里的反斜杠要写两个" }
    /// What to do.
    syntax_escape_hint() { "write \\\\, or put the text in '...'", "请写 \\\\，或用单引号 '...' 包住文本" }
    /// Not TOML; the parser's own words.
    syntax_other(message: &str) { "not valid TOML: {message}", "TOML 语法错误：{message}" }
    /// What to do.
    syntax_colon_hint() { "a key and its value are joined by =, not by a colon", "键和值之间用 =，不用冒号" }
    /// What to do.
    syntax_form_hint() { "write key = value, text in quotes: name = \"DaoCloud\"", "写成 键 = 值，文本加引号：name = \"DaoCloud\"" }
    /// What to do.
    syntax_comment_hint() { "a comment begins with #", "注释以 # 开头" }
    /// What to do.
    syntax_line_hint() { "one setting a line; a comment begins with #", "每行一项设置；注释以 # 开头" }
    /// What to do.
    syntax_flag_hint() { "write true or false in lower case; other text needs quotes", "true 和 false 要小写；其他文本要加引号" }
    /// What to do.
    full_width_hint(wrong: char, right: char) {
        "{wrong} comes from an input method: switch it off and type {right}",
        "{wrong} 是全角（中文）符号：请关闭输入法，改用半角的 {right}",
    }
}

messages! {
    /// A host of the built-in catalogue.
    known_closed(host: &str, reason: &str, date: &str) { "{host} is closed: {reason} ({date})", "{host} 已关闭：{reason}（{date}）" }
    /// A host of the built-in catalogue.
    known_restricted(host: &str, reason: &str, date: &str) {
        "{host} is not open to everybody: {reason} ({date})",
        "{host} 不对所有人开放：{reason}（{date}）",
    }
    /// A host of the built-in catalogue.
    known_not_a_mirror(host: &str, reason: &str, date: &str) {
        "{host} is not a mirror of Docker Hub: {reason} (as of {date})",
        "{host} 不是 Docker Hub 的镜像源：{reason}（截至 {date}）",
    }
    /// What to do.
    known_closed_hint() {
        "delete it, or write enabled = false in its [[mirror]]: every pull that tries it only waits",
        "请删掉，或在它的 [[mirror]] 里写 enabled = false：每次拉取试它只会白等",
    }
    /// What to do.
    known_restricted_hint() {
        "where it does answer, nothing needs to be done; else write enabled = false",
        "若在你的环境里可用，可忽略；否则请写 enabled = false",
    }
    /// What to do.
    known_not_a_mirror_hint() { "delete it: it can only cost time", "请删掉：它只会拖慢拉取" }
    /// Why.
    why_shut_down() { "its operator shut it down", "运营方已停止服务" }
    /// Why.
    why_gone() { "it was seen to answer no more", "经查证已无法访问" }
    /// Why.
    why_login() { "it wants a login, which Docker's mirror list cannot give", "需要登录，而 Docker 的镜像源列表无法提供登录信息" }
    /// Why.
    why_only(place: &str) { "it answers only inside {place}", "只在{place}内可用" }
    /// Why.
    why_aliyun_code() {
        "it answers only inside Alibaba Cloud, and serves images that are no longer updated",
        "只在阿里云内可用，且镜像已不再更新",
    }
    /// Why.
    why_registry(owner: &str) { "it is the registry of {owner} itself", "它是{owner}自己的镜像仓库" }
    /// Why.
    why_upstream() { "it is Docker Hub itself, where Docker goes anyway when no mirror serves", "它就是 Docker Hub 本身，镜像源都不可用时 Docker 自会去那里" }
    /// Why.
    why_mirror_of(upstream: &str) { "it mirrors {upstream}", "它是 {upstream} 的镜像源" }
    /// Why.
    why_web_site() { "it is a web site", "它只是网站" }
    /// Why.
    why_path_only() { "it has Docker Hub's images only below a path, which Docker's mirror list cannot say", "它只在某个路径下提供 Docker Hub 的镜像，而 Docker 的镜像源列表不能写路径" }
    /// A place.
    place_azure_china() { "Azure China", " Azure 中国" }
    /// A place.
    place_kspeeder() { "a NAS that runs KSpeeder", "运行 KSpeeder 的 NAS " }
    /// A place.
    place_stfc() { "the STFC Cloud", " STFC 云" }
}

messages! {
    /// local.toml cannot be edited.
    edit_not_toml(line: usize, column: usize, cause: &str) { "line {line}, column {column}: {cause}", "第 {line} 行第 {column} 列：{cause}" }
    /// local.toml cannot be edited.
    edit_inline() {
        "mirrors are written here as one list in braces, which is not edited: write them as [[mirror]]",
        "这里的镜像源写成了花括号列表，无法自动编辑：请改写成 [[mirror]]",
    }
    /// The name is another's.
    edit_name_taken(name: &str, url: &str) { "{name} is already the name of {url}", "{name} 已经是 {url} 的名称" }
    /// The mirror is there.
    edit_present(name: &str) { "it is already there, as {name}", "已经存在，名称为 {name}" }
    /// The mirror is not there.
    edit_unknown(name: &str) { "there is no mirror named {name}", "没有名为 {name} 的镜像源" }
}
