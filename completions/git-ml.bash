# Completion of `git-ml` and of `git ml` in bash: source it, or install it as share/bash-completion/completions/git-ml.

# Bash cuts the line at `=`, `:` and `@` too, which stand inside git-ml's targets and options. The words are put
# together again: what has no blank before it belongs to the word before.
__git_ml_complete() {
    local rest=${COMP_LINE:0:COMP_POINT} words=() index piece trimmed
    for ((index = 0; index <= COMP_CWORD; index++)); do
        trimmed=${rest#"${rest%%[![:space:]]*}"}
        piece=${COMP_WORDS[index]}
        ((index < COMP_CWORD)) || piece=$trimmed
        if ((index > 0)) && [[ $trimmed == "$rest" ]]; then
            words[${#words[@]} - 1]+=$piece
        else
            words+=("$piece")
        fi
        rest=${trimmed#"$piece"}
    done

    # `git -C DIR ml log` is `git-ml -C DIR log`.
    local ours=(git-ml)
    if [[ ${words[0]##*/} == git-ml ]]; then
        ours+=("${words[@]:1}")
    else
        for ((index = 1; index < ${#words[@]}; index++)); do
            [[ ${words[index]} != ml ]] || break
            [[ ${words[index]} != -C ]] || ours+=(-C "${words[index + 1]}")
        done
        ours+=("${words[@]:index + 1}")
    fi

    # What bash replaces starts after the last character that it cuts at.
    local current=${ours[${#ours[@]} - 1]} breaks=${COMP_WORDBREAKS//[!=:@]/} cut= value
    if [[ -n $breaks && $current == *["$breaks"]* ]]; then
        cut=${current%"${current##*["$breaks"]}"}
    fi
    compopt +o nospace -o nosort 2>/dev/null
    COMPREPLY=()
    while IFS=$'\t' read -r value _; do
        [[ $value != *[=:@/] ]] || compopt -o nospace 2>/dev/null
        value=${value#"$cut"}
        # Only what needs it is quoted, so that `~` in `@~1` stays.
        [[ $value != *[[:space:]\'\"\\\$\;\&\|\<\>\(\)\*\?\!\`]* ]] || printf -v value %q "$value"
        COMPREPLY+=("$value")
    done < <(command git-ml completions --at $((${#ours[@]} - 1)) -- "${ours[@]}" 2>/dev/null)
}

# git's own completion calls this for `git ml`.
_git_ml() {
    __git_ml_complete
}

complete -o bashdefault -o default -F __git_ml_complete git-ml
