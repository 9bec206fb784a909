//! The details of a failure for people: what our own English says, in their language, without what the kind beside it
//! says already, and without the numbers that only programmers know.
//!
//! JSON, logs and the history keep the English sentence; this reads it back. What is not listed here is somebody
//! else's (a server's, dockerd's, the system's) and stays as it is. A test holds the list against the code that says
//! these things.

use crate::reason::ReasonKind;
use crate::text::{Lang, reason};

/// What is said, and how it is shown in English (`None`: as it is) and in Chinese. `{}` is data, in its order. Where English
/// has nothing, the kind that stands before it says it all, and Chinese is for where it stands within a sentence.
const SAID: &[Said] = &[
    // The way to the mirror.
    ("no such name", None, "没有这个域名"),
    ("the name has no address", None, "该域名没有地址"),
    ("no connections available", Some("no name server can be reached"), "连接不上任何 DNS 服务器"),
    ("no name server answered within {} s", None, "DNS 服务器 {} 秒内没有应答"),
    ("not a name", None, "不是合法的域名"),
    ("{} leads to {} ({})", None, "{} 解析到 {}（{}）"),
    ("a private network", None, "内网地址"),
    ("this host", None, "本机"),
    ("a metadata or link-local address", None, "元数据服务或链路本地地址"),
    ("an address nothing is served from", None, "无效地址"),
    ("Connection refused", Some(""), "连接被拒绝"),
    ("Connection reset by peer", None, "连接被重置"),
    ("Connection timed out", Some(""), "连接超时"),
    ("No route to host", Some(""), "没有到该主机的路由"),
    ("Network is unreachable", Some(""), "网络不可达"),
    ("No space left on device", None, "磁盘空间不足"),
    ("no storage space", Some("no space left on the device"), "磁盘空间不足"),
    ("read-only filesystem or storage medium", Some("the file system is read-only"), "文件系统只读"),
    ("Permission denied", None, "权限不足"),
    ("No such file or directory", None, "文件不存在"),
    ("Broken pipe", None, "连接已断开"),
    ("Not a directory", None, "不是目录"),
    ("Is a directory", None, "是目录"),
    ("File exists", None, "文件已存在"),
    ("no address to connect to", None, "没有可连接的地址"),
    ("no answer to the connection", Some(""), "连接没有响应"),
    ("no answer", None, "没有响应"),
    ("the connection was already taken", None, "连接已被占用"),
    ("too many bytes before the first request", None, "首个请求之前收到的数据过多"),
    ("proxy {}", None, "代理 {}"),
    ("it does not connect us: {}", None, "无法建立连接：{}"),
    ("it did not connect us in time", None, "未能及时建立连接"),
    // TLS.
    (
        "no authority that this host trusts signed the certificate",
        Some("a private one is trusted by ca_file in mirrors.toml"),
        "私有证书请在 mirrors.toml 的 ca_file 中指定其 CA",
    ),
    (
        "this host trusts no certificate authority; the package ca-certificates has them",
        None,
        "本机没有任何受信任的 CA，请安装 ca-certificates",
    ),
    ("the certificate expired {}", Some("on {}"), "过期时间 {}"),
    ("the certificate is not valid before {}", None, "{} 起才有效"),
    ("the certificate is for {}", Some("it is for {}"), "证书属于 {}"),
    ("a certificate cannot have this host's name", None, "证书不能使用这样的主机名"),
    ("no answer in the TLS handshake", None, "握手没有响应"),
    ("what answers does not speak TLS", None, "对方使用的不是 TLS"),
    ("the connection was reset in the TLS handshake", None, "握手时连接被重置"),
    ("the connection ended in the TLS handshake", None, "握手时连接断开"),
    // Answers.
    ("connected and asked, and no answer came", Some(""), "已连接并发出请求，但没有响应"),
    ("the head of the answer did not end in time", None, "响应头未能及时收完"),
    ("the connection ended before the answer did", Some(""), "响应未收完，连接就已断开"),
    ("more bytes than such an answer may have", Some(""), "超过此类响应应有的大小"),
    ("cannot be asked for: {}", None, "无法发出请求：{}"),
    ("Content-Encoding {} though identity was asked for", None, "请求 identity，却返回 Content-Encoding {}"),
    ("mirrorwatch cannot cope with its answer", None, "mirrorwatch 无法处理它的响应"),
    ("a body of more than {} bytes", None, "正文超过 {} 字节"),
    ("not HTTP/1.1: {}", None, "不是 HTTP/1.1：{}"),
    ("the body did not end in time", None, "正文未能及时收完"),
    ("the body comes in crumbs", None, "正文被拆成过多碎片传来"),
    ("no byte of the body for {}", None, "{} 内没有收到数据"),
    ("it asks for a user and a password", Some(""), "要求用户名和密码"),
    ("HTTP 403", Some(""), "HTTP 403"),
    ("HTTP 404", Some(""), "HTTP 404"),
    ("HTTP 429", Some(""), "HTTP 429"),
    ("HTTP {}: a web page, {}", None, "HTTP {}，网页 {}"),
    ("HTTP {}: a web page", None, "HTTP {}，网页"),
    ("a web page", None, "网页"),
    ("HTTP {}, to {}", None, "HTTP {}，重定向到 {}"),
    ("an odd status", None, "状态码异常"),
    ("a web page, {}, instead of a manifest", None, "返回的是网页 {}，不是清单"),
    ("a web page instead of a manifest", None, "返回的是网页，不是清单"),
    ("a web page instead of a config", None, "返回的是网页，不是配置"),
    ("a web page instead of a layer", None, "返回的是网页，不是层数据"),
    ("a web page, {}", None, "网页 {}"),
    ("{} instead of a manifest", None, "返回的是 {}，不是清单"),
    ("JSON, but not a manifest", None, "是 JSON，但不是清单"),
    ("not a manifest: {}", None, "不是清单：{}"),
    ("not a sha256 digest", None, "不是 sha256 摘要"),
    ("not a sha256 digest at line {} column {}", None, "第 {} 行第 {} 列不是 sha256 摘要"),
    ("a manifest of schema 1, which Docker no longer takes", None, "schema 1 的清单，Docker 已不再支持"),
    ("a manifest without Content-Type", None, "清单没有 Content-Type"),
    ("an index within an index", None, "索引中嵌套索引"),
    ("the image has nothing for {}", None, "该镜像不支持 {}"),
    ("the token realm: {}", None, "令牌服务：{}"),
    ("not the JSON of a token", None, "返回的不是令牌 JSON"),
    ("no token in its answer", None, "响应中没有令牌"),
    ("a token of more than 8 KiB", None, "令牌超过 8 KiB"),
    ("a token that no header can have", None, "令牌中有请求头不允许的字符"),
    ("a manifest whose bytes are not those of its digest", None, "清单"),
    ("a config whose bytes are not those of its digest", None, "配置"),
    ("a layer whose bytes are not those of its digest", None, "层"),
    ("a config of {} bytes", None, "配置有 {} 字节，过大"),
    ("206 without Content-Range", None, "206 响应没有 Content-Range"),
    (
        "206 with Content-Range {}, though {} was asked for",
        None,
        "206 响应的 Content-Range 为 {}，而请求的是 {}",
    ),
    ("206 with Content-Range {}", None, "206 响应的 Content-Range 无效：{}"),
    ("a layer of {} bytes instead of {}", None, "层为 {} 字节，应为 {}"),
    ("the layer does not begin as {} does", None, "层的开头不是 {} 格式"),
    ("the layer ended after {} of {} bytes", None, "层只收到 {} / {} 字节"),
    ("the config ended after {} of {} bytes", None, "配置只收到 {} / {} 字节"),
    ("a layer at {} KiB/s", Some("{} KiB/s"), "{} KiB/s"),
    ("from https to http: {}", None, "从 https 转到 http：{}"),
    ("more than {} redirects", None, "重定向超过 {} 次"),
    ("a redirect without a readable Location", None, "重定向没有可用的 Location"),
    ("it takes more than {} requests to get here", None, "请求超过 {} 次仍未完成"),
    // A redirect, or the realm of a token.
    ("not an absolute URL", None, "不是绝对 URL"),
    ("not a path", None, "不是有效的路径"),
    ("the URL is empty", None, "URL 为空"),
    ("the URL has a blank or a control character in it", None, "URL 中有空白或控制字符"),
    ("the URL still has a placeholder in it", None, "URL 中仍有占位符"),
    ("the URL has no http:// or https:// in front", None, "URL 前面缺少 http:// 或 https://"),
    ("the URL's scheme is neither http nor https", None, "URL 的协议既不是 http 也不是 https"),
    ("the URL has no host", None, "URL 中没有主机名"),
    ("the URL's host is not a name or an address", None, "URL 中的主机既不是域名也不是 IP 地址"),
    ("the URL's port is not a number from 1 to 65535", None, "URL 的端口不是 1 到 65535 之间的数字"),
    ("the URL has a user or password in it", None, "URL 中带有用户名或密码"),
    ("the URL has a path", None, "URL 中带有路径"),
    ("the URL has a query", None, "URL 中带有查询参数"),
    ("the URL has a fragment", None, "URL 中带有片段"),
    // Real pulls.
    ("a pull received nothing for {} s", None, "一次拉取 {} 秒没有收到数据"),
    ("a pull received {} kB/s", None, "一次拉取只有 {} kB/s"),
    ("pulls fail where probes are served: {}", None, "探测正常而实际拉取失败：{}"),
    // Verdicts.
    ("serves 0 of {} images", Some("none of {} images asked for"), "已请求的 {} 个镜像都不提供"),
    ("left alone until {}", None, "{} 之前不再访问"),
    ("comes and goes: not trusted before {}", None, "时好时坏，{} 之前不予采信"),
    (
        "faster than {}, and takes its place once {} % faster in {} rehearsals in a row, so far {}",
        None,
        "比 {} 更快，须快 {} % 且连续 {} 次演练才能取代它，目前 {} 次",
    ),
    ("faster than {}, as is proved, and waits for `hold`", None, "已证实比 {} 更快，等待 hold 间隔"),
    ("{} of {} good rehearsals since", None, "此后演练成功 {} / {} 次"),
    ("{} s, the upstream {} s", None, "{} 秒，直连上游 {} 秒"),
    ("{} leads to {}, {}", None, "{} 指向 {}，{}"),
    ("with the upstream to {}", None, "上游为 {}"),
    ("with {} of {} to {}", None, "而 {} / {} 个镜像源为 {}"),
    (
        "dockerd takes mirrors of {} only, and this one mirrors {}",
        None,
        "dockerd 只接受 {} 的镜像源，而它对应的是 {}",
    ),
    ("the classic store", None, "传统存储"),
    ("the containerd store", None, "containerd 存储"),
    ("the store is not known, and one of the two", None, "存储类型未知，其中一种不支持"),
    ("HEAD of a manifest is refused", None, "拒绝对清单的 HEAD 请求"),
    ("HEAD of a manifest answers with another media type", None, "对清单的 HEAD 请求返回了其他类型"),
    ("HEAD of a manifest answers without a length", None, "对清单的 HEAD 请求没有返回长度"),
    ("HEAD of a manifest answers without a media type", None, "对清单的 HEAD 请求没有返回类型"),
    ("a token is wanted for the manifest and not for /v2/", None, "清单需要令牌，而 /v2/ 不需要"),
    ("/v2/ does not answer", None, "/v2/ 没有响应"),
    ("{} of {} places are taken by better ones", None, "{} / {} 个位置已由更好的镜像源占用"),
    ("its content is contradicted", None, "其内容与别的镜像源不一致"),
    (
        "plain or loopback and https mirrors never stand in one list on the containerd store",
        None,
        "使用 containerd 存储时，http 或本机的镜像源不与 https 的列在一起",
    ),
    // This host.
    ("this host's clock says {}", None, "本机时间为 {}"),
    ("first {}: {}", Some("first {}: {}"), "首个是 {}：{}"),
    ("{} s without a turn", None, "{} 秒没有得到运行"),
    ("this kernel has no Landlock", None, "内核不支持 Landlock"),
    ("thread: {}", None, "无法启动线程：{}"),
    ("no thread could be started", None, "无法启动线程"),
    ("no certificate in it", None, "其中没有证书"),
    // What is remembered.
    ("the database is damaged ({})", None, "数据库已损坏（{}）"),
    ("not a database of mirrorwatch ({})", None, "不是 mirrorwatch 的数据库（{}）"),
    ("written by a newer mirrorwatch ({})", None, "由更高版本的 mirrorwatch 写入（{}）"),
    ("permission denied", None, "权限不足"),
    ("read-only", None, "只读，无法写入"),
    ("no space left on the device", None, "磁盘空间不足"),
    ("locked by another process for too long", None, "被其他进程长时间锁定"),
    ("removed or replaced by another program", None, "被其他程序删除或替换"),
    ("cannot be used ({})", None, "无法使用（{}）"),
    ("kept as {}, and a new one was begun", None, "原文件已另存为 {}，并新建了数据库"),
    ("a new one was begun", None, "已新建数据库"),
    ("records are kept in memory until it can be written", None, "在恢复可写之前，记录仅保存在内存中"),
    ("the latest records were not saved", None, "最新的记录未能保存"),
    ("schema {}, this one knows up to {}", None, "格式版本 {}，此程序最高支持 {}"),
    ("another program's tables", None, "其中是其他程序的表"),
    ("schema {} is not {}", None, "格式版本为 {}，应为 {}"),
    // This host's own files.
    ("not a regular file", None, "不是普通文件"),
    ("a symbolic link that leads nowhere", None, "失效的符号链接"),
    ("write: {}", None, "无法写入：{}"),
    ("read: {}", None, "无法读取：{}"),
    ("open: {}", None, "无法打开：{}"),
    ("lock: {}", None, "无法加锁：{}"),
    ("larger than any configuration file", None, "超过配置文件应有的大小"),
    ("another mirrorwatch is running", None, "另一个 mirrorwatch 正在运行"),
    (
        "it was removed while the service ran, and cannot be made again: {}",
        None,
        "在服务运行期间被删除，且无法重新创建：{}",
    ),
    ("signal handlers: {}", None, "无法接收信号：{}"),
    (
        "a part of the service died, which is a bug of mirrorwatch: {}",
        None,
        "服务的一部分异常终止，这是 mirrorwatch 的缺陷：{}",
    ),
    // Docker's own pulls.
    (
        "which process is dockerd cannot be told; hint: `socket` in [engine.docker] must be its own and not that of a program in between; where several run, `pid_file` names the one",
        None,
        "无法确定哪个进程是 dockerd；提示：[engine.docker] 的 `socket` 须是 dockerd 自己的，而不是中间程序的；若有多个 dockerd，由 `pid_file` 指定",
    ),
    ("{}: there is no journal", None, "{}：没有 journal"),
    ("dockerd has a network of its own", None, "dockerd 使用独立的网络命名空间"),
    ("log-level {}", None, "log-level {}"),
    (
        "at this log-level dockerd does not say which mirror a pull left; it does at info",
        None,
        "在此 log-level 下 dockerd 不记录拉取放弃了哪个镜像源，设为 info 才会记录",
    ),
    ("dockerd logs neither into the journal nor into a file", None, "dockerd 既不写 journal，也不写文件"),
    (
        "dockerd goes out through a proxy: a pull that hangs cannot be told from the proxy's other connections",
        None,
        "dockerd 经由代理访问，卡住的拉取无法与代理的其他连接区分",
    ),
    ("the stream ended", None, "事件流已结束"),
    ("the connection ended", None, "连接已断开"),
    // The half that writes.
    ("it published nothing", None, "没有发布任何结果"),
    ("it answered without a word", None, "应答中没有结果"),
    ("no answer within {}: {}", None, "{} 内没有应答：{}"),
    ("no answer within {}", None, "{} 内没有应答"),
    ("{} has failed ({})", None, "{} 已失败（{}）"),
    ("the state of {} is {}", None, "{} 的状态为 {}"),
    ("the request is not followed: {}", None, "没有执行该请求：{}"),
    ("it is not understood: {}", None, "无法识别：{}"),
    ("format {}", None, "格式版本 {}"),
    ("line {}, column {}", None, "第 {} 行第 {} 列"),
    ("more than {} bytes", None, "超过 {} 字节"),
    (
        "{} is another mirror in mirrors.toml than the one that was meant",
        None,
        "mirrors.toml 中的 {} 不是请求所指的镜像源",
    ),
    ("{} is no mirror that takes part, by mirrors.toml", None, "按 mirrors.toml，{} 不是参与选择的镜像源"),
    ("{} mirrors are more than the list may have", None, "{} 个镜像源，超过列表的上限"),
    ("{} is named twice", None, "{} 出现了两次"),
    ("mirrorwatch is paused", None, "mirrorwatch 已暂停"),
    ("there is no Docker that it speaks of", None, "找不到其中所指的 Docker"),
    (
        "not written: the list was changed as often as it may be in an hour",
        None,
        "未写入：一小时内修改列表的次数已达上限",
    ),
    // Engines.
    ("hint: {}", None, "提示：{}"),
    ("not written", None, "未写入"),
    (
        "not written: somebody's edits wait there for a reload, and ours would activate them: {}",
        None,
        "未写入：其中有他人尚未生效的修改，重载会使其一并生效：{}",
    ),
    ("another program rewrites the list again and again", None, "另有程序反复改写该列表"),
    ("reloaded {} times in 24 hours", None, "24 小时内已重载 {} 次"),
    ("cannot be replaced: {}; hint: {}", None, "无法替换：{}；提示：{}"),
    ("cannot be replaced: {}", None, "无法替换：{}"),
    ("Operation not permitted", None, "操作不被允许"),
    ("Read-only file system", None, "只读文件系统"),
    ("somebody else wrote it meanwhile", None, "其间被他人写入"),
    ("it has several hard links", None, "它有多个硬链接"),
    ("it is a symbolic link that leads nowhere", None, "它是失效的符号链接"),
    ("it is not a regular file", None, "它不是普通文件"),
    ("the system refused", None, "系统拒绝"),
    ("another program edits this file at the same time; try again", None, "另有程序同时在修改该文件，请重试"),
    (
        "the file has several hard links; make it a file of its own: cp it aside and mv it back",
        None,
        "请把它变成独立的文件：先 cp 一份，再 mv 回来",
    ),
    (
        "the file is mounted by itself, mount its directory instead",
        None,
        "该文件被单独挂载，请改为挂载其目录",
    ),
    (
        "the file system is read-only, see findmnt -T on the path; or the service's ReadWritePaths leave it out",
        None,
        "文件系统只读，用 findmnt -T 查看；或服务的 ReadWritePaths 未包含它",
    ),
    (
        "the file or its directory is immutable; see lsattr, mend with chattr -i",
        None,
        "文件或其目录不可修改，用 lsattr 查看，用 chattr -i 解除",
    ),
    (
        "run it as root, or give it the right to write this directory",
        None,
        "请以 root 运行，或授予写入该目录的权限",
    ),
    (
        "the disk is full or a quota is reached; see df -h on the path",
        None,
        "磁盘已满或超出配额，用 df -h 查看",
    ),
    ("the directory is missing; create it", None, "目录不存在，请创建"),
    (
        "the path is a symbolic link that leads nowhere; mend or remove the link",
        None,
        "该路径是失效的符号链接，请修复或删除",
    ),
    ("a regular file is wanted there", None, "那里应是普通文件"),
    ("see the system's log", None, "请查看系统日志"),
    ("not valid JSON: {}", None, "不是有效的 JSON：{}"),
    ("{} lists {}, and Docker uses {}", None, "{} 中是 {}，Docker 使用的是 {}"),
    ("larger than 1 MiB, no daemon.json is", None, "超过 1 MiB，不可能是 daemon.json"),
    ("not UTF-8 text", None, "不是 UTF-8 文本"),
    ("dockerd does not start with it", None, "dockerd 无法用它启动"),
    ("not a JSON object", None, "不是 JSON 对象"),
    ("{} is not a list of texts", None, "{} 不是字符串列表"),
    (
        "{} stands here for the second time, and dockerd takes the last one",
        None,
        "{} 在此第二次出现，dockerd 以最后一个为准",
    ),
    ("cannot connect: {}", None, "无法连接：{}"),
    ("GET {}: {}", None, "GET {}：{}"),
    ("status {}", None, "状态码 {}"),
    ("podman answers there, not dockerd", None, "应答的是 podman，不是 dockerd"),
    (
        "the answer names no registry mirrors; this is not dockerd",
        None,
        "应答中没有镜像源列表，对方不是 dockerd",
    ),
    (
        "dockerd does not run, and asking here would start it",
        None,
        "dockerd 没有运行，而向这里发请求会使其启动",
    ),
    (
        "dockerd (pid {}): not believed, nothing is written or run for it: {}",
        None,
        "dockerd（pid {}）：不可信，不会为它写入或执行任何内容：{}",
    ),
    ("its program is {}", None, "其程序为 {}"),
    ("it runs as user {}", None, "以用户 {} 的身份运行"),
    ("it has changed its user", None, "它的用户有过变化"),
    ("dockerd (pid {}): cannot be sent SIGHUP: {}", None, "dockerd（pid {}）：无法向其发送 SIGHUP：{}"),
    ("no such process", None, "没有该进程"),
    ("it is not the process any more that it was", None, "它已不是原来的进程"),
    (
        "cannot be reloaded: its process was not found, neither by the socket nor by the pid file",
        None,
        "无法重载：通过套接字和 pid 文件都没有找到其进程",
    ),
    ("the command is empty", None, "命令为空"),
    ("this Docker is a part of {}, which alone configures it", None, "这个 Docker 属于 {}，只能由该程序配置"),
    ("the edit gave {}", None, "修改的结果是 {}"),
    ("no thread to write with: {}", None, "无法启动写入所需的线程：{}"),
    ("is damaged and put aside: {}", None, "已损坏，已移到一旁：{}"),
    ("is damaged, nothing was restored: {}", None, "已损坏，没有恢复任何内容：{}"),
    ("it is of another file", None, "它属于另一个文件"),
    ("schema {} is of another version", None, "格式版本 {} 属于其他版本的 mirrorwatch"),
    ("not kept any more, or never was", None, "已不再保留，或从未保存过"),
    ("the bytes to put back are gone: {}", None, "要恢复的内容已丢失：{}"),
    ("cannot be removed: {}", None, "无法删除：{}"),
    ("somebody else replaces it without a pause", None, "有其他程序不停地替换它"),
    ("what stood there is kept as {}", None, "原有内容另存为 {}"),
    ("somebody else has written the file since", None, "此后有人改写过该文件"),
    ("cannot be used: {}", None, "无法使用：{}"),
    ("cannot be read: {}", None, "无法读取：{}"),
    ("another mirrorwatch is applying right now", None, "另一个 mirrorwatch 正在应用列表"),
    (
        "failed too often; systemd refuses to start it again (start limit hit)",
        None,
        "启动失败次数过多，systemd 拒绝再次启动",
    ),
    ("dockerd did not take the list within {}: {}", None, "dockerd 在 {} 内没有采用该列表：{}"),
    ("dockerd did not take the list within {}", None, "dockerd 在 {} 内没有采用该列表"),
    ("it gave no reason", None, "未说明原因"),
    ("the old file is back", None, "已恢复原文件"),
    ("and the old file could not be put back: {}", None, "且原文件未能恢复：{}"),
    ("the old file could not be put back: {}", None, "原文件未能恢复：{}"),
    ("and somebody's edit could not be put back: {}", None, "且他人的修改未能放回：{}"),
    ("its bytes are in {}", None, "其内容保存在 {}"),
    ("there was no file before", None, "此前没有该文件"),
    ("{}: did not end within {}", None, "{}：在 {} 内没有结束"),
    ("said nothing", None, "没有输出"),
    ("{}: exit status: {}: {}", None, "{}：退出码 {}：{}"),
    (
        "dockerd told of the list and did not show it within {}: {}",
        None,
        "dockerd 已报告采用该列表，但在 {} 内没有显示出来：{}",
    ),
    (
        "dockerd told of the list and did not show it within {}",
        None,
        "dockerd 已报告采用该列表，但在 {} 内没有显示出来",
    ),
    (
        "not written: it is empty, and somebody may be about to fill it; hint: if nobody is, write an empty JSON object into it, or wait ten minutes",
        None,
        "未写入：文件为空，可能有人正要写入；提示：若非如此，请写入一个空的 JSON 对象，或等待十分钟",
    ),
    (
        "not written: it is empty, and somebody may be about to fill it",
        None,
        "未写入：文件为空，可能有人正要写入",
    ),
    (
        "if nobody is, write an empty JSON object into it, or wait ten minutes",
        None,
        "若非如此，请写入一个空的 JSON 对象，或等待十分钟",
    ),
    (
        "not written: dockerd was started with --registry-mirror={}, and it does not start with both",
        None,
        "未写入：dockerd 以 --registry-mirror={} 启动，与配置文件中的列表并存时无法启动",
    ),
    (
        "not written: dockerd {} forgets its insecure-registries at a reload",
        None,
        "未写入：dockerd {} 在重载后会丢失 insecure-registries",
    ),
    (
        "it tells dockerd where to pull {} from, so {} has no effect there",
        None,
        "dockerd 按它的设置拉取 {}，{} 在此不起作用",
    ),
    (
        "not written: it has authorization-plugins, and one that fails to load at a reload ends dockerd",
        None,
        "未写入：其中有 authorization-plugins，重载时只要有一个加载失败，dockerd 就会退出",
    ),
    (
        "not written: dockerd has authorization plugins that are not in the file, and a reload would switch them off",
        None,
        "未写入：dockerd 有未写在文件中的授权插件，重载会停用它们",
    ),
    (
        "not written: dockerd was started with --authorization-plugin, and a reload would switch the plugins off",
        None,
        "未写入：dockerd 以 --authorization-plugin 启动，重载会停用这些插件",
    ),
    (
        "hidepid hides dockerd from mirrorwatch-apply.service; hint: if it runs, give that unit the group of the mount's gid= (SupplementaryGroups=)",
        None,
        "hidepid 使 mirrorwatch-apply.service 看不到 dockerd；提示：如果它在运行，请把挂载选项 gid= 所指的组加入该单元的 SupplementaryGroups=",
    ),
    ("somebody else wrote it meanwhile; their edit is in place", None, "其间被他人写入，已保留他人的修改"),
    // Behind those that begin alike.
    ("{} is not a regular file", None, "{} 不是普通文件"),
];

/// A detail, as it is shown; empty where the kind that stands before it says it all.
pub fn detail(lang: Lang, said: &str) -> String {
    let said = without_number(said);
    let (mut rest, mut parts) = (said.as_str(), Vec::new());
    // Ours are put behind what a server said, which may have semicolons of its own.
    while let Some((before, part)) = rest.rsplit_once("; ")
        && let Some(shown) = ours(lang, part).filter(|_| !has_semicolon(rest))
    {
        parts.push(shown);
        rest = before;
    }
    parts.push(ours(lang, rest).unwrap_or_else(|| rest.to_owned()));
    parts.reverse();
    parts.retain(|part| !part.is_empty());
    parts.join(match lang {
        Lang::En => "; ",
        Lang::Zh => "；",
    })
}

/// Whether it is a sentence of ours with a semicolon in it, or what it is about and such a one.
fn has_semicolon(said: &str) -> bool {
    let behind = said.split_once(": ").filter(|(subject, _)| !subject.contains(' ')).map(|(_, rest)| rest);
    let is =
        |said: &str| SAID.iter().any(|(pattern, ..)| pattern.contains("; ") && data(pattern, said).is_some());
    is(said) || behind.is_some_and(is)
}

/// One part: as a whole, several in one, or with the host, address, path or sentence of ours that it stands behind.
fn ours(lang: Lang, said: &str) -> Option<String> {
    if let Some(shown) = whole(lang, said).or_else(|| listed(lang, said)) {
        return Some(shown);
    }
    let (subject, rest) = said.split_once(": ")?;
    let shown_rest = ours(lang, rest);
    let subject = match whole(lang, subject).filter(|shown| !shown.is_empty()) {
        Some(subject) => subject,
        // What is said behind a stranger's words is the stranger's.
        None if subject.contains(' ') || shown_rest.is_none() => return None,
        None => subject.to_owned(),
    };
    let rest = shown_rest.unwrap_or_else(|| rest.to_owned());
    Some(match (lang, rest.is_empty()) {
        (_, true) => subject,
        (Lang::En, false) => format!("{subject}: {rest}"),
        (Lang::Zh, false) => format!("{subject}：{rest}"),
    })
}

/// Several that are listed in one.
fn listed(lang: Lang, said: &str) -> Option<String> {
    let parts: Option<Vec<String>> = said.split(", ").map(|part| whole(lang, part)).collect();
    parts.filter(|parts| parts.len() > 1).map(|parts| match lang {
        Lang::En => parts.join(", "),
        Lang::Zh => parts.join("、"),
    })
}

/// A sentence of the list, which stands alone.
fn whole(lang: Lang, said: &str) -> Option<String> {
    let (_, english, _) = found(said)?.0;
    if *english == Some("") { Some(String::new()) } else { within(lang, said) }
}

/// A sentence of the list, also one that would only repeat its kind.
fn within(lang: Lang, said: &str) -> Option<String> {
    let ((_, english, chinese), data) = found(said)?;
    let data = data.iter().map(|data| piece(lang, data));
    Some(match (lang, english) {
        (Lang::En, None | Some("")) => said.to_owned(),
        (Lang::En, Some(english)) => filled(english, data),
        (Lang::Zh, _) => filled(chinese, data),
    })
}

type Said = (&'static str, Option<&'static str>, &'static str);

/// The first of the list that it is, and its data.
fn found(said: &str) -> Option<(&'static Said, Vec<&str>)> {
    SAID.iter().find_map(|known| Some((known, data(known.0, said)?)))
}

/// What stands where `pattern` has `{}`; `None` where `said` is something else.
fn data<'a>(pattern: &str, said: &'a str) -> Option<Vec<&'a str>> {
    let mut pieces = pattern.split("{}");
    let mut rest = said.strip_prefix(pieces.next()?)?;
    let mut data = Vec::new();
    let mut pieces = pieces.peekable();
    while let Some(piece) = pieces.next() {
        let (found, behind) = match (piece, pieces.peek()) {
            ("", None) => (rest, ""),
            (last, None) => (rest.strip_suffix(last)?, ""),
            (piece, Some(_)) => rest.split_once(piece)?,
        };
        data.push(found);
        rest = behind;
    }
    (rest.is_empty() && data.iter().all(|data| !data.is_empty())).then_some(data)
}

/// One piece of data: a reason's word, ours again, or what it is.
fn piece(lang: Lang, said: &str) -> String {
    let word = ReasonKind::ALL.iter().find(|kind| kind.as_str() == said);
    let word = word.map(|kind| reason::reason(lang, *kind).to_owned());
    // What only repeats a kind is no repetition within a sentence.
    let told = word.or_else(|| within(lang, said)).or_else(|| ours(lang, said));
    told.unwrap_or_else(|| said.to_owned())
}

fn filled(template: &str, data: impl Iterator<Item = String>) -> String {
    data.fold(template.to_owned(), |text, data| text.replacen("{}", &data, 1))
}

/// Without ` (os error 111)`, which says nothing to who reads it.
fn without_number(said: &str) -> String {
    let mut text = said.to_owned();
    while let Some(at) = text.find(" (os error ") {
        let Some(end) = text[at..].find(')') else { break };
        text.replace_range(at..=at + end, "");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    #[test]
    fn what_a_faster_mirror_lacks_is_told_with_its_numbers() {
        let lacks =
            "faster than mid, and takes its place once 20 % faster in 3 rehearsals in a row, so far 1";
        let chinese = "比 mid 更快，须快 20 % 且连续 3 次演练才能取代它，目前 1 次";
        assert_eq!(
            (detail(Lang::En, lacks), detail(Lang::Zh, lacks)),
            (lacks.to_owned(), chinese.to_owned())
        );
        let waits = "faster than mid, as is proved, and waits for `hold`";
        assert_eq!(detail(Lang::Zh, waits), "已证实比 mid 更快，等待 hold 间隔");
    }

    #[test]
    fn our_own_words_are_told_in_the_readers_language_and_not_twice() {
        for (said, english, chinese) in [
            ("203.0.113.7:443: Connection refused (os error 111)", "203.0.113.7:443", "203.0.113.7:443"),
            ("m.example: no such name", "m.example: no such name", "m.example：没有这个域名"),
            ("no answer to the connection; left alone until T", "left alone until T", "T 之前不再访问"),
            (
                "HTTP 502: a web page, \"502 Bad Gateway\"",
                "HTTP 502: a web page, \"502 Bad Gateway\"",
                "HTTP 502，网页 \"502 Bad Gateway\"",
            ),
            ("HTTP 403: DENIED: 白名单", "HTTP 403: DENIED: 白名单", "HTTP 403: DENIED: 白名单"),
            (
                "/etc/docker/daemon.json: dockerd told of the list and did not show it within 20s: it gave no reason",
                "/etc/docker/daemon.json: dockerd told of the list and did not show it within 20s: it gave no reason",
                "/etc/docker/daemon.json：dockerd 已报告采用该列表，但在 20s 内没有显示出来：未说明原因",
            ),
            (
                "/etc/docker/daemon.json: dockerd did not take the list within 5s: it gave no reason; the old file is back",
                "/etc/docker/daemon.json: dockerd did not take the list within 5s: it gave no reason; the old file is back",
                "/etc/docker/daemon.json：dockerd 在 5s 内没有采用该列表：未说明原因；已恢复原文件",
            ),
            (
                "/no/such: No such file or directory; the old file is back",
                "/no/such: No such file or directory; the old file is back",
                "/no/such：文件不存在；已恢复原文件",
            ),
            (
                "/proc: hidepid hides dockerd from mirrorwatch-apply.service; hint: if it runs, give that unit the group of the mount's gid= (SupplementaryGroups=); /s: cannot connect: No such file or directory",
                "/proc: hidepid hides dockerd from mirrorwatch-apply.service; hint: if it runs, give that unit the group of the mount's gid= (SupplementaryGroups=); /s: cannot connect: No such file or directory",
                "/proc：hidepid 使 mirrorwatch-apply.service 看不到 dockerd；提示：如果它在运行，请把挂载选项 gid= 所指的组加入该单元的 SupplementaryGroups=；/s：无法连接：文件不存在",
            ),
            ("HTTP 403; serves 0 of 3 images", "none of 3 images asked for", "已请求的 3 个镜像都不提供"),
            (
                "sh -c true && sleep 1000: did not end within 30s; the old file is back",
                "sh -c true && sleep 1000: did not end within 30s; the old file is back",
                "sh -c true && sleep 1000：在 30s 内没有结束；已恢复原文件",
            ),
            (
                "HTTP 404: a web page, \"a; b\"; serves 0 of 1 images; left alone until T",
                "HTTP 404: a web page, \"a; b\"; none of 1 images asked for; left alone until T",
                "HTTP 404，网页 \"a; b\"；已请求的 1 个镜像都不提供；T 之前不再访问",
            ),
            (
                "this host trusts no certificate authority; the package ca-certificates has them",
                "this host trusts no certificate authority; the package ca-certificates has them",
                "本机没有任何受信任的 CA，请安装 ca-certificates",
            ),
            (
                "the classic store: /v2/ does not answer, HEAD of a manifest is refused",
                "the classic store: /v2/ does not answer, HEAD of a manifest is refused",
                "传统存储：/v2/ 没有响应、拒绝对清单的 HEAD 请求",
            ),
            ("closed in 2024 · 已关闭", "closed in 2024 · 已关闭", "closed in 2024 · 已关闭"),
            (
                "first m.example: tls_expired",
                "first m.example: certificate expired",
                "首个是 m.example：证书已过期或尚未生效",
            ),
            (
                "/d.json: cannot be replaced: Read-only file system (os error 30); hint: the directory is missing; create it",
                "/d.json: cannot be replaced: Read-only file system; hint: the directory is missing; create it",
                "/d.json：无法替换：只读文件系统；提示：目录不存在，请创建",
            ),
            (
                "/proc/7/fd/2: dockerd logs neither into the journal nor into a file",
                "/proc/7/fd/2: dockerd logs neither into the journal nor into a file",
                "/proc/7/fd/2：dockerd 既不写 journal，也不写文件",
            ),
            (
                "/docker.sock: cannot connect: Connection refused (os error 111)",
                "/docker.sock: cannot connect: Connection refused",
                "/docker.sock：无法连接：连接被拒绝",
            ),
            (
                "/state/lock: cannot be used: Read-only file system (os error 30)",
                "/state/lock: cannot be used: Read-only file system",
                "/state/lock：无法使用：只读文件系统",
            ),
            (
                "/state/pause.json: no storage space",
                "/state/pause.json: no space left on the device",
                "/state/pause.json：磁盘空间不足",
            ),
            (
                "/d.json:3:1: not valid JSON: trailing comma",
                "/d.json:3:1: not valid JSON: trailing comma",
                "/d.json:3:1：不是有效的 JSON：trailing comma",
            ),
            (
                "m.example: no connections available",
                "m.example: no name server can be reached",
                "m.example：连接不上任何 DNS 服务器",
            ),
            ("", "", ""),
        ] {
            assert_eq!(detail(Lang::En, said), english);
            assert_eq!(detail(Lang::Zh, said), chinese);
        }
    }

    #[test]
    fn what_is_no_failure_of_a_probe_is_told_in_chinese_too() {
        for (said, chinese) in [
            ("1 of 1 places are taken by better ones", "1 / 1 个位置已由更好的镜像源占用"),
            (
                "pulls fail where probes are served: a pull received nothing for 12 s",
                "探测正常而实际拉取失败：一次拉取 12 秒没有收到数据",
            ),
        ] {
            assert_eq!(detail(Lang::En, said), said);
            assert_eq!(detail(Lang::Zh, said), chinese);
        }
    }

    #[test]
    fn what_is_put_together_of_several_of_ours_is_told_in_chinese_as_a_whole() {
        for (said, chinese) in [
            ("m.example: the token realm: no token in its answer", "m.example：令牌服务：响应中没有令牌"),
            ("not an absolute URL: nowhere", "不是绝对 URL：nowhere"),
            ("the URL has a user or password in it: https://a:b@c", "URL 中带有用户名或密码：https://a:b@c"),
            ("proxy 10.0.0.1:3128: it did not connect us in time", "代理 10.0.0.1:3128：未能及时建立连接"),
            (
                "cdn.example: 206 with Content-Range \"bytes 0-1/2\", though 0-32767 was asked for",
                "cdn.example：206 响应的 Content-Range 为 \"bytes 0-1/2\"，而请求的是 0-32767",
            ),
            (
                "m.example: HTTP 302, to https://login.example",
                "m.example：HTTP 302，重定向到 https://login.example",
            ),
            (
                "/run/mirrorwatch/engine.json: mirrorwatch-apply: no answer within 30s: mirrorwatch-apply.path has failed (start-limit-hit)",
                "/run/mirrorwatch/engine.json：mirrorwatch-apply：30s 内没有应答：mirrorwatch-apply.path 已失败（start-limit-hit）",
            ),
            (
                "mirrorwatch-apply: the request is not followed: \"DaoCloud\" is named twice",
                "mirrorwatch-apply：没有执行该请求：\"DaoCloud\" 出现了两次",
            ),
            ("/docker.sock: GET /info: no answer within 5s", "/docker.sock：GET /info：5s 内没有应答"),
            (
                "/d.json: not written: dockerd --validate: unknown key",
                "/d.json：未写入：dockerd --validate: unknown key",
            ),
            (
                "log-level warn: at this log-level dockerd does not say which mirror a pull left; it does at info",
                "log-level warn：在此 log-level 下 dockerd 不记录拉取放弃了哪个镜像源，设为 info 才会记录",
            ),
            ("nobody is scheduled; 2.5 s without a turn", "nobody is scheduled；2.5 秒没有得到运行"),
            (
                "/state.db: not a database of mirrorwatch (another program's tables); records are kept in memory until it can be written",
                "/state.db：不是 mirrorwatch 的数据库（其中是其他程序的表）；在恢复可写之前，记录仅保存在内存中",
            ),
        ] {
            assert_eq!(detail(Lang::En, said), said);
            assert_eq!(detail(Lang::Zh, said), chinese);
        }
    }

    /// The files below `part`, each with its text.
    fn files(part: &str) -> Vec<(PathBuf, String)> {
        let mut directories = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(part)];
        let mut files = Vec::new();
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
                let path = entry.path();
                if path.is_dir() {
                    directories.push(path);
                } else if !path.ends_with("text/detail.rs") {
                    let text = fs::read_to_string(&path).unwrap();
                    files.push((path, text));
                }
            }
        }
        files
    }

    #[test]
    fn every_sentence_is_still_said_somewhere_and_its_data_are_all_shown() {
        let code: String = files("src").into_iter().map(|(_, text)| text).collect();
        // The system's own words, what serde adds to ours, and those that a status is put together from.
        let others = [
            "Connection",
            "No ",
            "Permission",
            "Operation",
            "Read-only",
            "Network is",
            "Broken pipe",
            "Not a directory",
            "Is a directory",
            "File exists",
            "HTTP 4",
            "no storage",
            "not a sha256 digest at",
            "read-only filesystem",
            "no connections",
        ];
        for (pattern, english, chinese) in
            SAID.iter().filter(|said| !others.iter().any(|it| said.0.starts_with(it)))
        {
            let longest =
                pattern.split("{}").flat_map(|piece| piece.split(", ")).max_by_key(|piece| piece.len());
            let longest = longest.unwrap().split(" (").next().unwrap();
            let longest = longest.trim().trim_end_matches(':');
            assert!(code.contains(longest.trim()), "nobody says {longest:?} any more");
            let count = |text: &str| text.matches("{}").count();
            for shown in english.iter().chain([chinese]).filter(|shown| !shown.is_empty()) {
                assert_eq!(count(shown), count(pattern), "{pattern}");
            }
        }
    }
}
