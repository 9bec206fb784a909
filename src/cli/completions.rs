//! `mirrorwatch completions`.

use clap_complete::Shell;

use super::args;
use super::exit::{Error, Exit};
use super::out::Out;
use crate::text::Lang;

/// The names of mirrors, which clap cannot know. Those with a blank in them are left out: they would need quotes.
const NAMES: &str = r#"
_mirrorwatch_names() {
    _mirrorwatch "$@"
    local word="${COMP_WORDS[COMP_CWORD]}" config="${MIRRORWATCH_CONFIG:-/etc/mirrorwatch/mirrors.toml}"
    case " ${COMP_WORDS[*]:1:COMP_CWORD-1} " in
        *" explain "* | *" history "* | *" probe "* | *" remove "*) ;;
        *) return 0 ;;
    esac
    [[ "${word}" == -* || "${COMP_WORDS[COMP_CWORD-1]}" == --* ]] && return 0
    local names
    names=$(sed -n 's/^name *= *"\([^" ]*\)".*/\1/p' "${config}" "${config%/*}"/mirrors.d/*.toml 2>/dev/null)
    COMPREPLY+=($(compgen -W "${names}" -- "${word}"))
}
complete -F _mirrorwatch_names -o bashdefault -o default mirrorwatch
"#;

/// Prints completions for a shell; descriptions in `lang`.
///
/// # Errors
///
/// Standard output takes no more.
pub fn print(shell: Shell, lang: Lang, out: &mut Out) -> Result<Exit, Error> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::command(lang), args::PROGRAM, &mut script);
    let mut script = String::from_utf8_lossy(&script).into_owned();
    if shell == Shell::Bash {
        script.push_str(NAMES);
    }
    out.print(&script)?;
    Ok(Exit::Ok)
}
