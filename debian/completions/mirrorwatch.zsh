#compdef mirrorwatch

autoload -U is-at-least

_mirrorwatch() {
    typeset -A opt_args
    typeset -a _arguments_options
    local ret=1

    if is-at-least 5.2; then
        _arguments_options=(-s -S -C)
    else
        _arguments_options=(-s -C)
    fi

    local context curcontext="$curcontext" state line
    _arguments "${_arguments_options[@]}" : \
'--config=[mirrors.toml \[env\: MIRRORWATCH_CONFIG\] \[default\: /etc/mirrorwatch/mirrors.toml\]]:FILE:_files' \
'--state-dir=[Where history is kept \[env\: STATE_DIRECTORY\] \[default\: /var/lib/mirrorwatch\]]:DIR:_files' \
'--runtime-dir=[Where the status is published \[env\: RUNTIME_DIRECTORY\] \[default\: /run/mirrorwatch\]]:DIR:_files' \
'--lang=[Language of text for people\: en or zh \[env\: MIRRORWATCH_LANG\] \[default\: the locale'\''s\]]:LANG:(en zh)' \
'--color=[auto, always or never \[default\: auto\: on a terminal, unless NO_COLOR is set\]]:WHEN:(auto always never)' \
'*-v[Say more; twice\: still more]' \
'*--verbose[Say more; twice\: still more]' \
'(-v --verbose)-q[Only errors, and the exit code]' \
'(-v --verbose)--quiet[Only errors, and the exit code]' \
'-h[Print help; --help says more than -h]' \
'--help[Print help; --help says more than -h]' \
'-V[Print the version]' \
'--version[Print the version]' \
":: :_mirrorwatch_commands" \
"*::: :->mirrorwatch" \
&& ret=0
    case $state in
    (mirrorwatch)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:mirrorwatch-command-$line[1]:"
        case $line[1] in
            (run)
_arguments "${_arguments_options[@]}" : \
'--config=[mirrors.toml \[env\: MIRRORWATCH_CONFIG\] \[default\: /etc/mirrorwatch/mirrors.toml\]]:FILE:_files' \
'--state-dir=[Where history is kept \[env\: STATE_DIRECTORY\] \[default\: /var/lib/mirrorwatch\]]:DIR:_files' \
'--runtime-dir=[Where the status is published \[env\: RUNTIME_DIRECTORY\] \[default\: /run/mirrorwatch\]]:DIR:_files' \
'--lang=[Language of text for people\: en or zh \[env\: MIRRORWATCH_LANG\] \[default\: the locale'\''s\]]:LANG:(en zh)' \
'--color=[auto, always or never \[default\: auto\: on a terminal, unless NO_COLOR is set\]]:WHEN:(auto always never)' \
'*-v[Say more; twice\: still more]' \
'*--verbose[Say more; twice\: still more]' \
'(-v --verbose)-q[Only errors, and the exit code]' \
'(-v --verbose)--quiet[Only errors, and the exit code]' \
'-h[Print help; --help says more than -h]' \
'--help[Print help; --help says more than -h]' \
'-V[Print the version]' \
'--version[Print the version]' \
&& ret=0
;;
(status)
_arguments "${_arguments_options[@]}" : \
'--config=[mirrors.toml \[env\: MIRRORWATCH_CONFIG\] \[default\: /etc/mirrorwatch/mirrors.toml\]]:FILE:_files' \
'--state-dir=[Where history is kept \[env\: STATE_DIRECTORY\] \[default\: /var/lib/mirrorwatch\]]:DIR:_files' \
'--runtime-dir=[Where the status is published \[env\: RUNTIME_DIRECTORY\] \[default\: /run/mirrorwatch\]]:DIR:_files' \
'--lang=[Language of text for people\: en or zh \[env\: MIRRORWATCH_LANG\] \[default\: the locale'\''s\]]:LANG:(en zh)' \
'--color=[auto, always or never \[default\: auto\: on a terminal, unless NO_COLOR is set\]]:WHEN:(auto always never)' \
'--json[The status as JSON; with --watch one line whenever it changes]' \
'--watch[Redraw every second until Ctrl-C]' \
'--all[Show mirrors that are switched off too, and what the marks mean]' \
'*-v[Say more; twice\: still more]' \
'*--verbose[Say more; twice\: still more]' \
'(-v --verbose)-q[Only errors, and the exit code]' \
'(-v --verbose)--quiet[Only errors, and the exit code]' \
'-h[Print help; --help says more than -h]' \
'--help[Print help; --help says more than -h]' \
'-V[Print the version]' \
'--version[Print the version]' \
&& ret=0
;;
(probe)
_arguments "${_arguments_options[@]}" : \
'--image=[What to ask for, such as library/nginx\:latest]:IMAGE:_default' \
'--depth=[How far\: connect (TCP and TLS), sample (a piece of a layer), rehearse (a pull'\''s first steps in full) \[default\: rehearse\]]:DEPTH:(connect sample rehearse)' \
'--config=[mirrors.toml \[env\: MIRRORWATCH_CONFIG\] \[default\: /etc/mirrorwatch/mirrors.toml\]]:FILE:_files' \
'--state-dir=[Where history is kept \[env\: STATE_DIRECTORY\] \[default\: /var/lib/mirrorwatch\]]:DIR:_files' \
'--runtime-dir=[Where the status is published \[env\: RUNTIME_DIRECTORY\] \[default\: /run/mirrorwatch\]]:DIR:_files' \
'--lang=[Language of text for people\: en or zh \[env\: MIRRORWATCH_LANG\] \[default\: the locale'\''s\]]:LANG:(en zh)' \
'--color=[auto, always or never \[default\: auto\: on a terminal, unless NO_COLOR is set\]]:WHEN:(auto always never)' \
'--json[One JSON object instead of text]' \
'*-v[Say more; twice\: still more]' \
'*--verbose[Say more; twice\: still more]' \
'(-v --verbose)-q[Only errors, and the exit code]' \
'(-v --verbose)--quiet[Only errors, and the exit code]' \
'-h[Print help; --help says more than -h]' \
'--help[Print help; --help says more than -h]' \
'-V[Print the version]' \
'--version[Print the version]' \
'*::mirrors -- Names from mirrors.toml, or URLs that need not be there:_default' \
&& ret=0
;;
(apply)
_arguments "${_arguments_options[@]}" : \
'--config=[mirrors.toml \[env\: MIRRORWATCH_CONFIG\] \[default\: /etc/mirrorwatch/mirrors.toml\]]:FILE:_files' \
'--state-dir=[Where history is kept \[env\: STATE_DIRECTORY\] \[default\: /var/lib/mirrorwatch\]]:DIR:_files' \
'--runtime-dir=[Where the status is published \[env\: RUNTIME_DIRECTORY\] \[default\: /run/mirrorwatch\]]:DIR:_files' \
'--lang=[Language of text for people\: en or zh \[env\: MIRRORWATCH_LANG\] \[default\: the locale'\''s\]]:LANG:(en zh)' \
'--color=[auto, always or never \[default\: auto\: on a terminal, unless NO_COLOR is set\]]:WHEN:(auto always never)' \
'--dry-run[Write nothing; print the diff of every file that would change]' \
'--with-pending[Reload also when that activates edits of others that wait in the engine'\''s file]' \
'--json[One JSON object instead of text]' \
'*-v[Say more; twice\: still more]' \
'*--verbose[Say more; twice\: still more]' \
'(-v --verbose)-q[Only errors, and the exit code]' \
'(-v --verbose)--quiet[Only errors, and the exit code]' \
'-h[Print help; --help says more than -h]' \
'--help[Print help; --help says more than -h]' \
'-V[Print the version]' \
'--version[Print the version]' \
&& ret=0
;;
(restore)
_arguments "${_arguments_options[@]}" : \
'--to=[Which of --list; else the first]:N:_default' \
'--config=[mirrors.toml \[env\: MIRRORWATCH_CONFIG\] \[default\: /etc/mirrorwatch/mirrors.toml\]]:FILE:_files' \
'--state-dir=[Where history is kept \[env\: STATE_DIRECTORY\] \[default\: /var/lib/mirrorwatch\]]:DIR:_files' \
'--runtime-dir=[Where the status is published \[env\: RUNTIME_DIRECTORY\] \[default\: /run/mirrorwatch\]]:DIR:_files' \
'--lang=[Language of text for people\: en or zh \[env\: MIRRORWATCH_LANG\] \[default\: the locale'\''s\]]:LANG:(en zh)' \
'--color=[auto, always or never \[default\: auto\: on a terminal, unless NO_COLOR is set\]]:WHEN:(auto always never)' \
'(--to --dry-run)--list[Show what can be restored, change nothing]' \
'--no-pause[Do not pause the service\: for when it is stopped for good, as before it is removed]' \
'--dry-run[Write nothing; print the diff of every file that would change]' \
'*-v[Say more; twice\: still more]' \
'*--verbose[Say more; twice\: still more]' \
'(-v --verbose)-q[Only errors, and the exit code]' \
'(-v --verbose)--quiet[Only errors, and the exit code]' \
'-h[Print help; --help says more than -h]' \
'--help[Print help; --help says more than -h]' \
'-V[Print the version]' \
'--version[Print the version]' \
&& ret=0
;;
(pause)
_arguments "${_arguments_options[@]}" : \
'--for=[For how long, such as 30m, 2h, 1d; without it until resume]:DURATION:_default' \
'--config=[mirrors.toml \[env\: MIRRORWATCH_CONFIG\] \[default\: /etc/mirrorwatch/mirrors.toml\]]:FILE:_files' \
'--state-dir=[Where history is kept \[env\: STATE_DIRECTORY\] \[default\: /var/lib/mirrorwatch\]]:DIR:_files' \
'--runtime-dir=[Where the status is published \[env\: RUNTIME_DIRECTORY\] \[default\: /run/mirrorwatch\]]:DIR:_files' \
'--lang=[Language of text for people\: en or zh \[env\: MIRRORWATCH_LANG\] \[default\: the locale'\''s\]]:LANG:(en zh)' \
'--color=[auto, always or never \[default\: auto\: on a terminal, unless NO_COLOR is set\]]:WHEN:(auto always never)' \
'*-v[Say more; twice\: still more]' \
'*--verbose[Say more; twice\: still more]' \
'(-v --verbose)-q[Only errors, and the exit code]' \
'(-v --verbose)--quiet[Only errors, and the exit code]' \
'-h[Print help; --help says more than -h]' \
'--help[Print help; --help says more than -h]' \
'-V[Print the version]' \
'--version[Print the version]' \
&& ret=0
;;
(resume)
_arguments "${_arguments_options[@]}" : \
'--config=[mirrors.toml \[env\: MIRRORWATCH_CONFIG\] \[default\: /etc/mirrorwatch/mirrors.toml\]]:FILE:_files' \
'--state-dir=[Where history is kept \[env\: STATE_DIRECTORY\] \[default\: /var/lib/mirrorwatch\]]:DIR:_files' \
'--runtime-dir=[Where the status is published \[env\: RUNTIME_DIRECTORY\] \[default\: /run/mirrorwatch\]]:DIR:_files' \
'--lang=[Language of text for people\: en or zh \[env\: MIRRORWATCH_LANG\] \[default\: the locale'\''s\]]:LANG:(en zh)' \
'--color=[auto, always or never \[default\: auto\: on a terminal, unless NO_COLOR is set\]]:WHEN:(auto always never)' \
'*-v[Say more; twice\: still more]' \
'*--verbose[Say more; twice\: still more]' \
'(-v --verbose)-q[Only errors, and the exit code]' \
'(-v --verbose)--quiet[Only errors, and the exit code]' \
'-h[Print help; --help says more than -h]' \
'--help[Print help; --help says more than -h]' \
'-V[Print the version]' \
'--version[Print the version]' \
&& ret=0
;;
(why)
_arguments "${_arguments_options[@]}" : \
'--since=[How far back \[default\: 1h\]]:DURATION:_default' \
'--config=[mirrors.toml \[env\: MIRRORWATCH_CONFIG\] \[default\: /etc/mirrorwatch/mirrors.toml\]]:FILE:_files' \
'--state-dir=[Where history is kept \[env\: STATE_DIRECTORY\] \[default\: /var/lib/mirrorwatch\]]:DIR:_files' \
'--runtime-dir=[Where the status is published \[env\: RUNTIME_DIRECTORY\] \[default\: /run/mirrorwatch\]]:DIR:_files' \
'--lang=[Language of text for people\: en or zh \[env\: MIRRORWATCH_LANG\] \[default\: the locale'\''s\]]:LANG:(en zh)' \
'--color=[auto, always or never \[default\: auto\: on a terminal, unless NO_COLOR is set\]]:WHEN:(auto always never)' \
'--json[One JSON object instead of text]' \
'*-v[Say more; twice\: still more]' \
'*--verbose[Say more; twice\: still more]' \
'(-v --verbose)-q[Only errors, and the exit code]' \
'(-v --verbose)--quiet[Only errors, and the exit code]' \
'-h[Print help; --help says more than -h]' \
'--help[Print help; --help says more than -h]' \
'-V[Print the version]' \
'--version[Print the version]' \
&& ret=0
;;
(explain)
_arguments "${_arguments_options[@]}" : \
'--config=[mirrors.toml \[env\: MIRRORWATCH_CONFIG\] \[default\: /etc/mirrorwatch/mirrors.toml\]]:FILE:_files' \
'--state-dir=[Where history is kept \[env\: STATE_DIRECTORY\] \[default\: /var/lib/mirrorwatch\]]:DIR:_files' \
'--runtime-dir=[Where the status is published \[env\: RUNTIME_DIRECTORY\] \[default\: /run/mirrorwatch\]]:DIR:_files' \
'--lang=[Language of text for people\: en or zh \[env\: MIRRORWATCH_LANG\] \[default\: the locale'\''s\]]:LANG:(en zh)' \
'--color=[auto, always or never \[default\: auto\: on a terminal, unless NO_COLOR is set\]]:WHEN:(auto always never)' \
'*-v[Say more; twice\: still more]' \
'*--verbose[Say more; twice\: still more]' \
'(-v --verbose)-q[Only errors, and the exit code]' \
'(-v --verbose)--quiet[Only errors, and the exit code]' \
'-h[Print help; --help says more than -h]' \
'--help[Print help; --help says more than -h]' \
'-V[Print the version]' \
'--version[Print the version]' \
':name -- Its name or its URL:_default' \
&& ret=0
;;
(history)
_arguments "${_arguments_options[@]}" : \
'--since=[How far back, such as 30m, 24h, 7d \[default\: 24h\]]:DURATION:_default' \
'--config=[mirrors.toml \[env\: MIRRORWATCH_CONFIG\] \[default\: /etc/mirrorwatch/mirrors.toml\]]:FILE:_files' \
'--state-dir=[Where history is kept \[env\: STATE_DIRECTORY\] \[default\: /var/lib/mirrorwatch\]]:DIR:_files' \
'--runtime-dir=[Where the status is published \[env\: RUNTIME_DIRECTORY\] \[default\: /run/mirrorwatch\]]:DIR:_files' \
'--lang=[Language of text for people\: en or zh \[env\: MIRRORWATCH_LANG\] \[default\: the locale'\''s\]]:LANG:(en zh)' \
'--color=[auto, always or never \[default\: auto\: on a terminal, unless NO_COLOR is set\]]:WHEN:(auto always never)' \
'--json[One JSON object instead of text]' \
'*-v[Say more; twice\: still more]' \
'*--verbose[Say more; twice\: still more]' \
'(-v --verbose)-q[Only errors, and the exit code]' \
'(-v --verbose)--quiet[Only errors, and the exit code]' \
'-h[Print help; --help says more than -h]' \
'--help[Print help; --help says more than -h]' \
'-V[Print the version]' \
'--version[Print the version]' \
'::name -- Its name or its URL:_default' \
&& ret=0
;;
(check)
_arguments "${_arguments_options[@]}" : \
'--config=[mirrors.toml \[env\: MIRRORWATCH_CONFIG\] \[default\: /etc/mirrorwatch/mirrors.toml\]]:FILE:_files' \
'--state-dir=[Where history is kept \[env\: STATE_DIRECTORY\] \[default\: /var/lib/mirrorwatch\]]:DIR:_files' \
'--runtime-dir=[Where the status is published \[env\: RUNTIME_DIRECTORY\] \[default\: /run/mirrorwatch\]]:DIR:_files' \
'--lang=[Language of text for people\: en or zh \[env\: MIRRORWATCH_LANG\] \[default\: the locale'\''s\]]:LANG:(en zh)' \
'--color=[auto, always or never \[default\: auto\: on a terminal, unless NO_COLOR is set\]]:WHEN:(auto always never)' \
'*-v[Say more; twice\: still more]' \
'*--verbose[Say more; twice\: still more]' \
'(-v --verbose)-q[Only errors, and the exit code]' \
'(-v --verbose)--quiet[Only errors, and the exit code]' \
'-h[Print help; --help says more than -h]' \
'--help[Print help; --help says more than -h]' \
'-V[Print the version]' \
'--version[Print the version]' \
'::file -- Another file than --config'\''s:_files' \
&& ret=0
;;
(add)
_arguments "${_arguments_options[@]}" : \
'--name=[What to call it; else its host]:NAME:_default' \
'--config=[mirrors.toml \[env\: MIRRORWATCH_CONFIG\] \[default\: /etc/mirrorwatch/mirrors.toml\]]:FILE:_files' \
'--state-dir=[Where history is kept \[env\: STATE_DIRECTORY\] \[default\: /var/lib/mirrorwatch\]]:DIR:_files' \
'--runtime-dir=[Where the status is published \[env\: RUNTIME_DIRECTORY\] \[default\: /run/mirrorwatch\]]:DIR:_files' \
'--lang=[Language of text for people\: en or zh \[env\: MIRRORWATCH_LANG\] \[default\: the locale'\''s\]]:LANG:(en zh)' \
'--color=[auto, always or never \[default\: auto\: on a terminal, unless NO_COLOR is set\]]:WHEN:(auto always never)' \
'*-v[Say more; twice\: still more]' \
'*--verbose[Say more; twice\: still more]' \
'(-v --verbose)-q[Only errors, and the exit code]' \
'(-v --verbose)--quiet[Only errors, and the exit code]' \
'-h[Print help; --help says more than -h]' \
'--help[Print help; --help says more than -h]' \
'-V[Print the version]' \
'--version[Print the version]' \
':url -- Where it is\: scheme\://host\[\:port\]:_default' \
&& ret=0
;;
(remove)
_arguments "${_arguments_options[@]}" : \
'--config=[mirrors.toml \[env\: MIRRORWATCH_CONFIG\] \[default\: /etc/mirrorwatch/mirrors.toml\]]:FILE:_files' \
'--state-dir=[Where history is kept \[env\: STATE_DIRECTORY\] \[default\: /var/lib/mirrorwatch\]]:DIR:_files' \
'--runtime-dir=[Where the status is published \[env\: RUNTIME_DIRECTORY\] \[default\: /run/mirrorwatch\]]:DIR:_files' \
'--lang=[Language of text for people\: en or zh \[env\: MIRRORWATCH_LANG\] \[default\: the locale'\''s\]]:LANG:(en zh)' \
'--color=[auto, always or never \[default\: auto\: on a terminal, unless NO_COLOR is set\]]:WHEN:(auto always never)' \
'*-v[Say more; twice\: still more]' \
'*--verbose[Say more; twice\: still more]' \
'(-v --verbose)-q[Only errors, and the exit code]' \
'(-v --verbose)--quiet[Only errors, and the exit code]' \
'-h[Print help; --help says more than -h]' \
'--help[Print help; --help says more than -h]' \
'-V[Print the version]' \
'--version[Print the version]' \
':name -- Its name or its URL:_default' \
&& ret=0
;;
(completions)
_arguments "${_arguments_options[@]}" : \
'--config=[mirrors.toml \[env\: MIRRORWATCH_CONFIG\] \[default\: /etc/mirrorwatch/mirrors.toml\]]:FILE:_files' \
'--state-dir=[Where history is kept \[env\: STATE_DIRECTORY\] \[default\: /var/lib/mirrorwatch\]]:DIR:_files' \
'--runtime-dir=[Where the status is published \[env\: RUNTIME_DIRECTORY\] \[default\: /run/mirrorwatch\]]:DIR:_files' \
'--lang=[Language of text for people\: en or zh \[env\: MIRRORWATCH_LANG\] \[default\: the locale'\''s\]]:LANG:(en zh)' \
'--color=[auto, always or never \[default\: auto\: on a terminal, unless NO_COLOR is set\]]:WHEN:(auto always never)' \
'*-v[Say more; twice\: still more]' \
'*--verbose[Say more; twice\: still more]' \
'(-v --verbose)-q[Only errors, and the exit code]' \
'(-v --verbose)--quiet[Only errors, and the exit code]' \
'-h[Print help; --help says more than -h]' \
'--help[Print help; --help says more than -h]' \
'-V[Print the version]' \
'--version[Print the version]' \
':shell -- bash, zsh, fish, elvish or powershell:(bash elvish fish powershell zsh)' \
&& ret=0
;;
(man)
_arguments "${_arguments_options[@]}" : \
'--config=[mirrors.toml \[env\: MIRRORWATCH_CONFIG\] \[default\: /etc/mirrorwatch/mirrors.toml\]]:FILE:_files' \
'--state-dir=[Where history is kept \[env\: STATE_DIRECTORY\] \[default\: /var/lib/mirrorwatch\]]:DIR:_files' \
'--runtime-dir=[Where the status is published \[env\: RUNTIME_DIRECTORY\] \[default\: /run/mirrorwatch\]]:DIR:_files' \
'--lang=[Language of text for people\: en or zh \[env\: MIRRORWATCH_LANG\] \[default\: the locale'\''s\]]:LANG:(en zh)' \
'--color=[auto, always or never \[default\: auto\: on a terminal, unless NO_COLOR is set\]]:WHEN:(auto always never)' \
'*-v[Say more; twice\: still more]' \
'*--verbose[Say more; twice\: still more]' \
'(-v --verbose)-q[Only errors, and the exit code]' \
'(-v --verbose)--quiet[Only errors, and the exit code]' \
'-h[Print help; --help says more than -h]' \
'--help[Print help; --help says more than -h]' \
'-V[Print the version]' \
'--version[Print the version]' \
'::page -- Whose page\: mirrorwatch, or mirrors.toml for every setting \[default\: mirrorwatch\]:(mirrorwatch mirrors.toml)' \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
'--config=[mirrors.toml \[env\: MIRRORWATCH_CONFIG\] \[default\: /etc/mirrorwatch/mirrors.toml\]]:FILE:_files' \
'--state-dir=[Where history is kept \[env\: STATE_DIRECTORY\] \[default\: /var/lib/mirrorwatch\]]:DIR:_files' \
'--runtime-dir=[Where the status is published \[env\: RUNTIME_DIRECTORY\] \[default\: /run/mirrorwatch\]]:DIR:_files' \
'--lang=[Language of text for people\: en or zh \[env\: MIRRORWATCH_LANG\] \[default\: the locale'\''s\]]:LANG:(en zh)' \
'--color=[auto, always or never \[default\: auto\: on a terminal, unless NO_COLOR is set\]]:WHEN:(auto always never)' \
'*-v[Say more; twice\: still more]' \
'*--verbose[Say more; twice\: still more]' \
'(-v --verbose)-q[Only errors, and the exit code]' \
'(-v --verbose)--quiet[Only errors, and the exit code]' \
'-h[Print help; --help says more than -h]' \
'--help[Print help; --help says more than -h]' \
'-V[Print the version]' \
'--version[Print the version]' \
'::command -- Whose help:(run status probe apply restore pause resume why explain history check add remove completions man help)' \
&& ret=0
;;
        esac
    ;;
esac
}

(( $+functions[_mirrorwatch_commands] )) ||
_mirrorwatch_commands() {
    local commands; commands=(
'run:The service, in the foreground' \
'status:What is selected and why, what is rejected and why' \
'probe:Ask mirrors now, change nothing' \
'apply:Probe, select, write, reload, verify\: once' \
'restore:Put back what the engine had before' \
'pause:Go on probing, write nothing' \
'resume:End every pause' \
'why:What the last real pulls went through' \
'explain:Everything known of one mirror, and what it lacks' \
'history:What was observed, and what was switched' \
'check:Validate mirrors.toml' \
'add:Add a mirror' \
'remove:Remove a mirror' \
'completions:Completions for a shell' \
'man:The man page' \
'help:This help, or that of a command' \
    )
    _describe -t commands 'mirrorwatch commands' commands "$@"
}
(( $+functions[_mirrorwatch__subcmd__add_commands] )) ||
_mirrorwatch__subcmd__add_commands() {
    local commands; commands=()
    _describe -t commands 'mirrorwatch add commands' commands "$@"
}
(( $+functions[_mirrorwatch__subcmd__apply_commands] )) ||
_mirrorwatch__subcmd__apply_commands() {
    local commands; commands=()
    _describe -t commands 'mirrorwatch apply commands' commands "$@"
}
(( $+functions[_mirrorwatch__subcmd__check_commands] )) ||
_mirrorwatch__subcmd__check_commands() {
    local commands; commands=()
    _describe -t commands 'mirrorwatch check commands' commands "$@"
}
(( $+functions[_mirrorwatch__subcmd__completions_commands] )) ||
_mirrorwatch__subcmd__completions_commands() {
    local commands; commands=()
    _describe -t commands 'mirrorwatch completions commands' commands "$@"
}
(( $+functions[_mirrorwatch__subcmd__explain_commands] )) ||
_mirrorwatch__subcmd__explain_commands() {
    local commands; commands=()
    _describe -t commands 'mirrorwatch explain commands' commands "$@"
}
(( $+functions[_mirrorwatch__subcmd__help_commands] )) ||
_mirrorwatch__subcmd__help_commands() {
    local commands; commands=()
    _describe -t commands 'mirrorwatch help commands' commands "$@"
}
(( $+functions[_mirrorwatch__subcmd__history_commands] )) ||
_mirrorwatch__subcmd__history_commands() {
    local commands; commands=()
    _describe -t commands 'mirrorwatch history commands' commands "$@"
}
(( $+functions[_mirrorwatch__subcmd__man_commands] )) ||
_mirrorwatch__subcmd__man_commands() {
    local commands; commands=()
    _describe -t commands 'mirrorwatch man commands' commands "$@"
}
(( $+functions[_mirrorwatch__subcmd__pause_commands] )) ||
_mirrorwatch__subcmd__pause_commands() {
    local commands; commands=()
    _describe -t commands 'mirrorwatch pause commands' commands "$@"
}
(( $+functions[_mirrorwatch__subcmd__probe_commands] )) ||
_mirrorwatch__subcmd__probe_commands() {
    local commands; commands=()
    _describe -t commands 'mirrorwatch probe commands' commands "$@"
}
(( $+functions[_mirrorwatch__subcmd__remove_commands] )) ||
_mirrorwatch__subcmd__remove_commands() {
    local commands; commands=()
    _describe -t commands 'mirrorwatch remove commands' commands "$@"
}
(( $+functions[_mirrorwatch__subcmd__restore_commands] )) ||
_mirrorwatch__subcmd__restore_commands() {
    local commands; commands=()
    _describe -t commands 'mirrorwatch restore commands' commands "$@"
}
(( $+functions[_mirrorwatch__subcmd__resume_commands] )) ||
_mirrorwatch__subcmd__resume_commands() {
    local commands; commands=()
    _describe -t commands 'mirrorwatch resume commands' commands "$@"
}
(( $+functions[_mirrorwatch__subcmd__run_commands] )) ||
_mirrorwatch__subcmd__run_commands() {
    local commands; commands=()
    _describe -t commands 'mirrorwatch run commands' commands "$@"
}
(( $+functions[_mirrorwatch__subcmd__status_commands] )) ||
_mirrorwatch__subcmd__status_commands() {
    local commands; commands=()
    _describe -t commands 'mirrorwatch status commands' commands "$@"
}
(( $+functions[_mirrorwatch__subcmd__why_commands] )) ||
_mirrorwatch__subcmd__why_commands() {
    local commands; commands=()
    _describe -t commands 'mirrorwatch why commands' commands "$@"
}

if [ "$funcstack[1]" = "_mirrorwatch" ]; then
    _mirrorwatch "$@"
else
    compdef _mirrorwatch mirrorwatch
fi
