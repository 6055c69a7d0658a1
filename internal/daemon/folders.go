package daemon

import (
	"github.com/openinfrastructure/sluice/internal/tree"
)

// folders makes the directory of a rollout's flags on a store that has directories, so that people can write one by echo at
// once, without the right words for it. It is made again where somebody took it away.
func (l *leader) folders(snap *tree.Snapshot) {
	s, ok := l.store.(interface{ Folder(key string) error })
	if !ok {
		return
	}
	for i := range snap.Rollouts {
		r := &snap.Rollouts[i]
		if r.State.Phase.Ended() {
			continue
		}
		if err := s.Folder(tree.FlagsPrefix(r.Spec.Name)); err != nil && !l.unfolded {
			l.unfolded = true
			l.log.Warn().Err(err).Str("rollout", r.Spec.Name).Msg("the directory of its flags cannot be made; people have to")
		}
	}
}
