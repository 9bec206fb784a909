//! What the store has to say about its database.

use std::fmt::Display;

crate::text::messages! {
    /// The database contradicts itself.
    damaged(detail: &str) { "the database is damaged ({detail})", "数据库已损坏（{detail}）" }
    /// Somebody else's database.
    foreign(detail: &str) { "not a database of mirrorwatch ({detail})", "不是 mirrorwatch 的数据库（{detail}）" }
    /// A later version's database.
    newer(detail: &str) { "written by a newer mirrorwatch ({detail})", "由更高版本的 mirrorwatch 写入（{detail}）" }
    /// What becomes of one that cannot be used.
    begins_anew(path: impl Display) {
        "the service sets it aside as {path}.damaged-TIME when it starts, and begins a new one: sudo systemctl restart mirrorwatch",
        "服务启动时会把它另存为 {path}.damaged-时间 并新建数据库：sudo systemctl restart mirrorwatch",
    }
    /// No database yet.
    missing() {
        "nothing has been recorded yet; hint: the service records, `systemctl start mirrorwatch`",
        "尚无任何记录；提示：记录由服务写入，请执行 `systemctl start mirrorwatch`",
    }
    /// We may not.
    not_permitted() { "permission denied", "权限不足" }
    /// A read-only place.
    read_only() { "read-only", "只读，无法写入" }
    /// No space.
    full() { "no space left on the device", "磁盘空间不足" }
    /// Locked.
    busy() { "locked by another process for too long", "被其他进程长时间锁定" }
    /// Removed or replaced under us.
    replaced() { "removed or replaced by another program", "被其他程序删除或替换" }
    /// Anything else.
    unusable(detail: &str) { "cannot be used ({detail})", "无法使用（{detail}）" }

    /// What was done with the old file.
    set_aside(path: impl Display, what: &str, aside: impl Display) {
        "{path}: {what}; kept as {aside}, and a new one was begun",
        "{path}：{what}；原文件已另存为 {aside}，并新建了数据库",
    }
    /// Begun anew without an old file to keep.
    begun_anew(path: impl Display, what: &str) {
        "{path}: {what}; a new one was begun",
        "{path}：{what}；已新建数据库",
    }
    /// Nothing is kept beyond this process.
    in_memory(path: impl Display, what: &str) {
        "{path}: {what}; records are kept in memory until it can be written",
        "{path}：{what}；在恢复可写之前，记录仅保存在内存中",
    }
    /// The last write failed.
    not_saved(path: impl Display, what: &str) {
        "{path}: {what}; the latest records were not saved",
        "{path}：{what}；最新的记录未能保存",
    }
    /// Nothing can be shown.
    not_read(path: impl Display, what: &str) { "{path}: {what}", "{path}：{what}" }
}
