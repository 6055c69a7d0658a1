package consul

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/openinfrastructure/sluice/internal/store"
)

// Txn implements store.Store.
func (s *Store) Txn(ctx context.Context, ops ...store.Op) error {
	if err := store.CheckOps(ops); err != nil {
		return err
	}
	sent, origin := s.translate(ops)
	ctx, cancel := s.timeout(ctx)
	defer cancel()
	// The raw call keeps the status code, which the client's own Txn throws away.
	var answer api.TxnResponse
	_, err := s.client.Raw().Write("/v1/txn", sent, &answer, (&api.WriteOptions{}).WithContext(ctx))
	if err == nil && len(answer.Errors) == 0 {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("%w: success with %d errors", store.ErrUnavailable, len(answer.Errors))
	}
	var status api.StatusError
	if errors.As(err, &status) && status.Code == http.StatusConflict {
		return s.rolledBack(status.Body, ops, origin)
	}
	return fmt.Errorf("transaction of %d operations, first key %q: %w", len(ops), s.full(ops[0].Key), classify(err))
}

// translate gives Consul's operations, and for each the index of ours.
func (s *Store) translate(ops []store.Op) (sent api.TxnOps, origin []int) {
	for i, op := range ops {
		for _, verb := range verbs[op.Kind] {
			kv := &api.KVTxnOp{Verb: verb, Key: s.full(op.Key), Index: op.Version, Session: op.Lease}
			if verb == api.KVSet || verb == api.KVCAS {
				kv.Value = op.Value
			}
			sent = append(sent, &api.TxnOp{KV: kv})
			origin = append(origin, i)
		}
	}
	return sent, origin
}

// Consul's delete-cas of a key that does not exist succeeds; somebody else's delete
// must be a conflict, hence the check in front.
var verbs = map[store.Kind][]api.KVOp{
	store.KindSet:            {api.KVSet},
	store.KindCAS:            {api.KVCAS},
	store.KindDelete:         {api.KVDelete},
	store.KindDeleteCAS:      {api.KVCheckIndex, api.KVDelete},
	store.KindCheckVersion:   {api.KVCheckIndex},
	store.KindCheckNotExists: {api.KVCheckNotExists},
	store.KindCheckLease:     {api.KVCheckSession},
}

// rolledBack reads the body of a 409. Refused rights come this way too, and are
// told apart by Consul's fixed text only.
func (s *Store) rolledBack(body string, ops []store.Op, origin []int) error {
	refusals, err := parseRefusals(body)
	if err != nil {
		return fmt.Errorf("transaction of %d operations: %w: %w", len(ops), store.ErrUnavailable, err)
	}
	for _, r := range refusals {
		if strings.HasPrefix(r.What, "Permission denied") {
			return fmt.Errorf("transaction of %d operations: %w: %s", len(ops), store.ErrForbidden, r.What)
		}
	}
	first := refusals[0]
	if first.OpIndex < 0 || first.OpIndex >= len(origin) {
		return fmt.Errorf("transaction of %d operations: %w: refused for operation %d of %d: %s", len(ops), store.ErrUnavailable, first.OpIndex, len(origin), first.What)
	}
	i := origin[first.OpIndex]
	return &store.ConflictError{Index: i, Key: ops[i].Key, Reason: first.What}
}

// parseRefusals returns at least one refusal, or an error.
func parseRefusals(body string) (api.TxnErrors, error) {
	var answer api.TxnResponse
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		return nil, fmt.Errorf("refusal %.80q: want a json object with errors: %w", body, err)
	}
	if len(answer.Errors) == 0 {
		return nil, fmt.Errorf("refusal %.80q: want at least one error", body)
	}
	for _, e := range answer.Errors {
		if e == nil {
			return nil, fmt.Errorf("refusal %.80q: an error is null", body)
		}
	}
	return answer.Errors, nil
}
