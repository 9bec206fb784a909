//! What the prober has to say to people.

use super::messages;

messages! {
    /// `ca_file` is of no use.
    bad_ca_file(path: &str, why: &str) {
        "{path}: cannot be read as certificates (PEM): {why}\nhint: set ca_file to a PEM file, or to \"\" for none",
        "{path}：无法读取 PEM 证书：{why}\n提示：请将 ca_file 设为 PEM 文件；不需要时设为 \"\""
    }
    /// A proxy is of no use.
    bad_proxy(url: &str) {
        "{url}: not a proxy\nhint: a proxy is http://host:port, https://host:port or socks5://host:port",
        "{url}：不是有效的代理地址\n提示：代理应写成 http://主机:端口、https://主机:端口 或 socks5://主机:端口"
    }
    /// rustls refuses our settings.
    no_tls(why: &str) {
        "TLS cannot be set up: {why}",
        "无法初始化 TLS：{why}"
    }
}
