/**
 * What a shell is to do when a key asks for a completion: hand the words to the hidden verb, which prints a candidate
 * and its description a line, with a tab between them, and at last `:`, `:directories` or `:files`.
 */
export const SHELLS = ['bash', 'zsh', 'fish'] as const;

export type Shell = (typeof SHELLS)[number];

/** Name of the hidden verb. */
export const COMPLETE = '__complete';

const BASH = `# bash completion of holdfast; in ~/.bashrc: source <(holdfast completion bash)
_holdfast() {
  local current="\${COMP_WORDS[COMP_CWORD]}" line paths=
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in
      :*) paths=\${line#:} ;;
      *) COMPREPLY+=("\${line%%$'\\t'*}") ;;
    esac
  done < <("\${COMP_WORDS[0]}" ${COMPLETE} -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  local action=
  case $paths in
    directories) action=-d ;;
    files) action=-f ;;
  esac
  if [ -n "$action" ]; then
    compopt -o filenames 2>/dev/null
    while IFS= read -r line; do
      COMPREPLY+=("$line")
    done < <(compgen "$action" -- "$current")
  fi
}
complete -F _holdfast holdfast
`;

const ZSH = `#compdef holdfast
# zsh completion of holdfast; in ~/.zshrc, behind compinit: source <(holdfast completion zsh)
_holdfast() {
  local line paths
  local -a candidates
  while IFS= read -r line; do
    case $line in
      :*) paths=\${line#:} ;;
      *) candidates+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}") ;;
    esac
  done < <("\${words[1]}" ${COMPLETE} -- "\${(@)words[2,CURRENT]}" 2>/dev/null)
  (( $#candidates )) && _describe holdfast candidates
  case $paths in
    directories) _files -/ ;;
    files) _files ;;
  esac
}
if [ "$funcstack[1]" = _holdfast ]; then
  _holdfast "$@"
else
  compdef _holdfast holdfast
fi
`;

const FISH = `# fish completion of holdfast; in ~/.config/fish/config.fish: holdfast completion fish | source
function __holdfast_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for line in ($words[1] ${COMPLETE} -- $words[2..-1] "$current" 2>/dev/null)
        switch $line
            case ':directories'
                __fish_complete_directories "$current"
            case ':files'
                __fish_complete_path "$current"
            case ':'
            case '*'
                echo $line
        end
    end
end
complete -c holdfast -f -a '(__holdfast_complete)'
`;

export const completionScript = (shell: Shell): string => ({ bash: BASH, zsh: ZSH, fish: FISH })[shell];
