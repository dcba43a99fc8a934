#compdef git-ml
# Completion of `git-ml` and of `git ml` in zsh: install it as _git-ml in a folder of fpath. git's own completion
# calls this function for `git ml`, and lists `ml` with this line in ~/.zshrc:
#     zstyle ':completion:*:*:git:*' user-commands ml:'datasets, runs and models'

_git-ml() {
    local line value help ending
    local -a values shown open_values open_shown ours
    # git's completion cuts `git` and its options off: the first word is `ml` then.
    ours=(git-ml "${(@Q)words[2,CURRENT]}")
    for line in "${(@f)$(command git-ml completions --at $((CURRENT - 1)) -- "${ours[@]}" 2>/dev/null)}"; do
        value=${line%%$'\t'*}
        help=
        [[ $line != *$'\t'* ]] || help=${line#*$'\t'}
        [[ -n $value ]] || continue
        if [[ $value == *[=:@/] ]]; then
            open_values+=("$value")
            open_shown+=("$value${help:+  -- $help}")
        else
            values+=("$value")
            shown+=("$value${help:+  -- $help}")
        fi
    done
    # More follows after some values, so these get no blank after them.
    (( $#open_values )) && compadd -l -V git-ml-open -S '' -d open_shown -a open_values && ending=0
    (( $#values )) && compadd -l -V git-ml -d shown -a values && ending=0
    [[ -n $ending ]] || _files
}

# Called as a completion, not sourced.
if [[ ${funcstack[1]} == _git-ml ]]; then
    _git-ml "$@"
elif (( $+functions[compdef] )); then
    compdef _git-ml git-ml
fi
