//! The words of `why`.
#![expect(missing_docs, reason = "the sentences say what they say")]

use crate::text::messages;

messages! {
    head_when() { "WHEN", "时间" }
    head_mirror() { "MIRROR", "镜像源" }
    head_bytes() { "CAME", "已收" }
    head_speed() { "SPEED", "速度" }
    head_what() { "WHAT HAPPENED", "情况" }
    left(why: &str) { "left for the next: {why}", "转向下一个：{why}" }
    silent(seconds: u64) { "no byte for {seconds} s", "{seconds} 秒内没有收到数据" }
    may_rest(seconds: u64) {
        "no byte for {seconds} s: it hangs, or rests after a build",
        "{seconds} 秒内没有收到数据：卡住了，或是构建后闲置的连接",
    }
    crawling() { "crawls", "速度极慢" }
    served() { "served", "正常提供" }
    doubtful(detail: &str) { "some mirror failed: {detail}", "某个镜像源失败：{detail}" }
    absent(detail: &str) { "not there, counts for nothing: {detail}", "没有该镜像，不计入：{detail}" }
    nothing(age: &str) {
        "No pull was heard of in the last {age}: nothing was pulled from Docker Hub, or it came within seconds and without trouble. To look further back: mirrorwatch why --since 7d",
        "最近 {age}内没有拉取记录：没有从 Docker Hub 拉取，或几秒内就顺利完成了。查看更早的记录：mirrorwatch why --since 7d",
    }
    never_ran() {
        "The service has never run here, and only it listens: sudo systemctl enable --now mirrorwatch",
        "服务从未运行过，而拉取情况由服务记录：sudo systemctl enable --now mirrorwatch",
    }
    stopped(age: &str) {
        "The service is not running: what was pulled in the last {age} is not here.",
        "服务没有运行：最近 {age}内的拉取没有记录。",
    }
    deaf(why: &str) { "Not everything is heard: {why}", "未能完全获知：{why}" }
}
