package notify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/grafana/grafana-openapi-client-go/client/annotations"
	"github.com/grafana/grafana-openapi-client-go/models"
)

// GrafanaOptions describe one Grafana.
type GrafanaOptions struct {
	// Name is the notifier's; empty means "grafana".
	Name string
	// URL is Grafana's root, with the path it is served under, if any.
	URL string
	// TokenFile holds a service account's token, read for each request. The
	// account needs annotations:read, annotations:create and annotations:write.
	TokenFile string
	// DashboardUID ties annotations to one dashboard; empty makes them the
	// organisation's, which any dashboard can show by a query for the tag "sluice".
	DashboardUID string
	// Transport replaces the notifier's own; nil keeps it.
	Transport http.RoundTripper
}

// Grafana draws each stage as a region and other events as points.
//
// Annotations have no key of their own in Grafana, so each carries its
// event's ID as a tag, and is looked for before it is made. That is safe
// against a crash, a lost answer and a failover, as long as one process at a
// time tells a rollout's events, which the leader's lock sees to.
//
// Grafana itself is not among the things that tests can run; the contract is
// held by grafanatest, which refuses what Grafana's models do not have.
type Grafana struct {
	receiver
	name         string
	dashboardUID string
	api          annotations.ClientService
}

var _ Notifier = (*Grafana)(nil)

// NewGrafana checks the options; it sends nothing.
func NewGrafana(o GrafanaOptions) (*Grafana, error) {
	if o.TokenFile == "" {
		return nil, errors.New("grafana token file: expected a path, got none")
	}
	r, err := newReceiver("grafana", o.URL, o.TokenFile, o.Transport)
	if err != nil {
		return nil, err
	}
	return &Grafana{receiver: r, name: cmp.Or(o.Name, "grafana"), dashboardUID: o.DashboardUID, api: newAnnotations(r)}, nil
}

// Name returns the notifier's name.
func (g *Grafana) Name() string { return g.name }

// Notify draws the event, unless it is there already.
func (g *Grafana) Notify(ctx context.Context, e Event) error {
	switch e.Kind {
	case KindStageStarted:
		return g.draw(ctx, e, tagRegion)
	case KindStageEnded, KindBackedOut:
		return g.end(ctx, e)
	default:
		return g.draw(ctx, e, tag("kind", e.Kind))
	}
}

// draw makes the annotation of e if none has its ID. Grafana makes a region
// of it when a later PATCH gives it an end.
func (g *Grafana) draw(ctx context.Context, e Event, kind string) error {
	found, err := g.find(ctx, tagSluice, idTag(e))
	if err != nil || len(found) > 0 {
		return err
	}
	text := sentence(e)
	ok, err := g.api.PostAnnotationWithParams(annotations.NewPostAnnotationParams().WithContext(ctx).WithBody(&models.PostAnnotationsCmd{
		DashboardUID: g.dashboardUID,
		Time:         e.At.UnixMilli(),
		Tags:         eventTags(e, kind),
		Text:         &text,
	}))
	if err != nil {
		return g.fault("add annotation", err)
	}
	if ok.Payload == nil || ok.Payload.ID == nil {
		return fmt.Errorf("%s: add annotation: expected an id, got none", g.safe)
	}
	return nil
}

// end closes the open region of the event's stage, or those of the whole
// rollout for an event without one. Where nothing is open (the start was
// never told, or a back-out follows the stage's end) the event is a point.
func (g *Grafana) end(ctx context.Context, e Event) error {
	by := []string{tagSluice, tag("rollout", e.Rollout), tagRegion}
	if s := stageTag(e); s != "" {
		by = append(by, s)
	}
	regions, err := g.find(ctx, by...)
	if err != nil {
		return err
	}
	told := false
	for _, r := range regions {
		switch {
		case slices.Contains(r.Tags, tag("end", e.ID)):
			told = true
		case slices.ContainsFunc(r.Tags, func(t string) bool { return strings.HasPrefix(t, tagEnd) }):
			// Ended by an earlier event; its verdict stands.
		default:
			if err := g.patch(ctx, r, e); err != nil {
				return err
			}
			told = true
		}
	}
	if told {
		return nil
	}
	return g.draw(ctx, e, tag("kind", e.Kind))
}

func (g *Grafana) patch(ctx context.Context, region *models.Annotation, e Event) error {
	_, err := g.api.PatchAnnotationWithParams(annotations.NewPatchAnnotationParams().WithContext(ctx).
		WithAnnotationID(strconv.FormatInt(region.ID, 10)).
		WithBody(&models.PatchAnnotationsCmd{
			Text: region.Text + "\n" + sentence(e),
			Tags: endTags(region.Tags, e),
			// Grafana swaps the two when the end is earlier.
			TimeEnd: max(e.At.UnixMilli(), region.Time+1),
		}))
	if err != nil {
		return g.fault(fmt.Sprintf("patch annotation %d", region.ID), err)
	}
	return nil
}

// find returns the annotations that carry every tag. Some databases compare
// tags without regard to case, so the answer is filtered again.
func (g *Grafana) find(ctx context.Context, tags ...string) ([]*models.Annotation, error) {
	limit, kind := int64(1000), "annotation"
	ok, err := g.api.GetAnnotations(annotations.NewGetAnnotationsParams().WithContext(ctx).
		WithTags(tags).WithType(&kind).WithLimit(&limit))
	if err != nil {
		return nil, g.fault("find annotations", err)
	}
	if ok.Payload == nil {
		// "null" is not an empty list: to take it for one would draw twice.
		return nil, fmt.Errorf("%s: find annotations: expected a list, got none", g.safe)
	}
	var found []*models.Annotation
	for _, a := range ok.Payload {
		if a != nil && !slices.ContainsFunc(tags, func(t string) bool { return !slices.Contains(a.Tags, t) }) {
			found = append(found, a)
		}
	}
	return found, nil
}

// sentence is what the annotation says.
func sentence(e Event) string {
	text := e.Text
	if text == "" {
		text = strings.ReplaceAll(e.Kind, "_", " ")
		if e.Stage != "" {
			text = fmt.Sprintf("%s %s: %s", e.Rollout, e.Stage, text)
		} else {
			text = e.Rollout + ": " + text
		}
	}
	if e.Verdict != "" {
		text = e.Verdict + ": " + text
	}
	return text
}
