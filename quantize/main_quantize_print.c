/* What quantize tells people and programs. */
#include "json.h"
#include "main_quantize.h"

#include <stdio.h>
#include <string.h>

/* ---- text ---- */

static double bits_per_weight(const ws_quantize_plan *plan, uint64_t bytes) {
    return plan->n_elements ? (double)bytes * 8 / (double)plan->n_elements : 0;
}

/* Why a tensor gets its type. */
static void reason_text(const ws_choice *c, char *text, size_t n) {
    static const char *const reasons[] = {
        [WS_BY_KEEPING] = "kept", [WS_BY_DEFAULT] = "all others", [WS_BY_RULE] = "", [WS_BY_OPTION] = "option"};
    snprintf(text, n, "%s", reasons[c->by]);
    if (c->by == WS_BY_RULE) ws_rule_text(c->rule, text, n);
    const size_t used = strlen(text);
    if (c->fallback) snprintf(text + used, n - used, "; rows do not suit its type");
}

static void print_tensors(const ws_quantize_plan *plan) {
    for (size_t i = 0; i < plan->n; i++) {
        const ws_choice *c = &plan->choices[i];
        char size[24], reason[200];
        reason_text(c, reason, sizeof reason);
        printf("%-44s %7s -> %-7s %12s  %s\n", c->name, ws_dtype_name(c->tensor->type), ws_dtype_name(c->type),
               ws_format_bytes(size, (double)ws_bytes_of(c->type, c->tensor->n_elements)), reason);
    }
}

/* One rule, or the recipe's default (NULL), and what it decided. */
static void print_rule(const ws_quantize_plan *plan, const ws_rule *rule, ws_dtype type) {
    char text[200] = "all others", size[24] = "";
    size_t n = 0;
    uint64_t bytes = 0;
    for (size_t i = 0; i < plan->n; i++) {
        const ws_choice *c = &plan->choices[i];
        if (c->by != (rule ? WS_BY_RULE : WS_BY_DEFAULT) || c->rule != rule) continue;
        bytes += ws_bytes_of(c->type, c->tensor->n_elements), n++;
    }
    if (rule) ws_rule_text(rule, text, sizeof text);
    printf("  %-52s %-7s %5zu tensor%s %12s\n", text, ws_dtype_name(type), n, n == 1 ? " " : "s",
           n ? ws_format_bytes(size, (double)bytes) : "");
}

static void print_rules(const ws_quantize_plan *plan) {
    const ws_recipe *r = plan->options.recipe;
    printf("rules of %s (the first that applies counts), and what they decided:\n", r->name);
    for (const ws_rule *rule = r->rules; rule->categories; rule++) print_rule(plan, rule, rule->type);
    if (!(r->flags & WS_RECIPE_COPY)) print_rule(plan, NULL, r->type);
}

static void print_types(const ws_quantize_plan *plan) {
    uint64_t bytes[WS_TYPE_COUNT] = {0}, n[WS_TYPE_COUNT] = {0};
    for (size_t i = 0; i < plan->n; i++) {
        const ws_choice *c = &plan->choices[i];
        bytes[c->type] += ws_bytes_of(c->type, c->tensor->n_elements), n[c->type]++;
    }
    for (uint32_t t = 0; t < WS_TYPE_COUNT; t++) {
        char size[24];
        if (n[t])
            printf("  %-7s %5llu tensor%s %12s\n", ws_dtype_name((ws_dtype)t), (unsigned long long)n[t],
                   n[t] == 1 ? " " : "s", ws_format_bytes(size, (double)bytes[t]));
    }
}

static void print_check(const ws_eval_result *r) {
    printf("check over %zu chunks:\n", (size_t)r->chunks);
    printf("  perplexity before   %.4f\n  perplexity after    %.4f  (%+.2f %%)\n", r->ppl_base, r->ppl,
           100 * (r->ppl / r->ppl_base - 1));
    printf("  KL divergence       mean %.6f, 99.9 %% %.4f\n  same top token      %.2f %%\n", r->mean_kld,
           r->kld[WS_AT_999], 100 * r->top1);
}

static void print_output(const ws_job *j, const ws_job_output *out) {
    const ws_quantize_plan *plan = &out->plan;
    char from[24], to[24];
    if (j->o->texts.dry_run) {
        print_tensors(plan);
        print_rules(plan);
    }
    printf("%s -> %s as %s\n", j->in, out->path, out->recipe->name);
    print_types(plan);
    printf("%s (%.2f bits per weight) -> %s (%.2f bits per weight)%s\n",
           ws_format_bytes(from, (double)plan->bytes_from), bits_per_weight(plan, plan->bytes_from),
           ws_format_bytes(to, (double)plan->bytes_to), bits_per_weight(plan, plan->bytes_to),
           j->o->texts.dry_run ? ", nothing written" : "");
    if (out->sink.n_skip) printf("%zu tensors were there from an earlier run\n", out->sink.n_skip);
    if (plan->n_fallback)
        printf("%zu tensors have rows that do not suit the recipe's type and got a similar one\n", plan->n_fallback);
    if (plan->problem.code) printf("it would not be done: %s\n", plan->problem.msg);
    if (out->checked) print_check(&out->check);
}

static void print_verdicts(const ws_job *j) {
    const ws_reproduction *r = &j->reproduction;
    const ws_quantize_plan *plan = &j->outputs[0].plan;
    for (size_t i = 0; i < r->n; i++) {
        const ws_repro_verdict *v = &r->verdicts[i];
        if (v->kind == WS_REPRO_EQUAL) continue;
        printf("%-44s %-7s %s", plan->choices[i].name, v->there ? ws_dtype_name(v->there->type) : "",
               ws_repro_kind_name(v->kind));
        if (v->kind == WS_REPRO_DIFFERENT)
            printf(": %llu of %llu blocks", (unsigned long long)v->n_different, (unsigned long long)v->n_blocks);
        printf("\n");
    }
    printf("%zu of %zu tensors of '%s' are what '%s' gives, %zu have the type that %s chooses\n", r->n_equal, r->n,
           j->o->reproduce, j->in, r->n_by_recipe, j->outputs[0].recipe->name);
    if (r->n_extra) printf("%zu of its tensors are not in the source\n", r->n_extra);
    printf("metadata and layout: %s\n", r->same_header ? "the same, byte for byte" : "different");
}

void ws_job_print(const ws_job *j) {
    char all[24], sync[24];
    if (j->o->reproduce)
        print_verdicts(j);
    else
        for (size_t i = 0; i < j->n_outputs; i++) print_output(j, &j->outputs[i]);
    if (!j->o->texts.dry_run)
        printf("done in %s, %s of it waiting for the disk\n", ws_format_seconds(all, j->seconds),
               ws_format_seconds(sync, j->sync_seconds));
}

/* ---- JSON ---- */

static cJSON *tensors_json(const ws_quantize_plan *plan) {
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < plan->n; i++) {
        const ws_choice *c = &plan->choices[i];
        cJSON *t = cJSON_CreateObject();
        cJSON_AddItemToObject(t, "name", ws_json_bytes(c->name, strlen(c->name)));
        cJSON_AddStringToObject(t, "from", ws_dtype_name(c->tensor->type));
        cJSON_AddStringToObject(t, "to", ws_dtype_name(c->type));
        ws_json_add_u64(t, "bytes", ws_bytes_of(c->type, c->tensor->n_elements));
        char reason[200];
        reason_text(c, reason, sizeof reason);
        cJSON_AddStringToObject(t, "reason", reason);
        if (c->fallback) cJSON_AddTrueToObject(t, "fallback");
        cJSON_AddItemToArray(list, t);
    }
    return list;
}

static cJSON *check_json(const ws_eval_result *r) {
    cJSON *c = cJSON_CreateObject();
    cJSON_AddNumberToObject(c, "ppl_base", r->ppl_base);
    cJSON_AddNumberToObject(c, "ppl", r->ppl);
    cJSON_AddNumberToObject(c, "mean_kld", r->mean_kld);
    cJSON_AddNumberToObject(c, "kld_999", r->kld[WS_AT_999]);
    cJSON_AddNumberToObject(c, "max_kld", r->kld[WS_AT_MAX]);
    cJSON_AddNumberToObject(c, "top1", r->top1);
    ws_json_add_u64(c, "chunks", r->chunks);
    ws_json_add_u64(c, "tokens", r->tokens);
    return c;
}

static void add_output(cJSON *root, const ws_job_output *out) {
    const ws_quantize_plan *plan = &out->plan;
    cJSON_AddItemToObject(root, "output", ws_json_bytes(out->path, strlen(out->path)));
    cJSON_AddStringToObject(root, "type", out->recipe->name);
    cJSON_AddNumberToObject(root, "file_type", out->recipe->file_type);
    cJSON_AddItemToObject(root, "tensors", tensors_json(plan));
    if (plan->problem.code) cJSON_AddStringToObject(root, "problem", plan->problem.msg);
    ws_json_add_u64(root, "n_resumed", out->sink.n_skip);
    ws_json_add_u64(root, "n_fallback", plan->n_fallback);
    ws_json_add_u64(root, "bytes_from", plan->bytes_from);
    ws_json_add_u64(root, "bytes_to", plan->bytes_to);
    cJSON_AddNumberToObject(root, "bits_per_weight", bits_per_weight(plan, plan->bytes_to));
    if (out->checked) cJSON_AddItemToObject(root, "check", check_json(&out->check));
}

static void add_reproduction(cJSON *root, const ws_job *j) {
    const ws_reproduction *r = &j->reproduction;
    cJSON *list = cJSON_CreateArray();
    cJSON_AddItemToObject(root, "quantized", ws_json_bytes(j->o->reproduce, strlen(j->o->reproduce)));
    cJSON_AddStringToObject(root, "type", j->outputs[0].recipe->name);
    cJSON_AddBoolToObject(root, "reproduced", ws_reproduction_holds(r));
    cJSON_AddBoolToObject(root, "same_header", r->same_header);
    ws_json_add_u64(root, "n_equal", r->n_equal);
    ws_json_add_u64(root, "n_by_recipe", r->n_by_recipe);
    ws_json_add_u64(root, "n_extra", r->n_extra);
    for (size_t i = 0; i < r->n; i++) {
        const ws_repro_verdict *v = &r->verdicts[i];
        const char *name = j->outputs[0].plan.choices[i].name;
        cJSON *t = cJSON_CreateObject();
        cJSON_AddItemToObject(t, "name", ws_json_bytes(name, strlen(name)));
        cJSON_AddStringToObject(t, "type", v->there ? ws_dtype_name(v->there->type) : "");
        cJSON_AddStringToObject(t, "verdict", ws_repro_kind_name(v->kind));
        cJSON_AddBoolToObject(t, "by_recipe", v->by_recipe);
        ws_json_add_u64(t, "blocks", v->n_blocks);
        ws_json_add_u64(t, "different", v->n_different);
        cJSON_AddItemToArray(list, t);
    }
    cJSON_AddItemToObject(root, "tensors", list);
}

/* One output is told of at the top, several in a list. */
ws_status ws_job_print_json(const ws_job *j, ws_error *err) {
    cJSON *root = cJSON_CreateObject();
    cJSON_AddNumberToObject(root, "schema", 1);
    cJSON_AddItemToObject(root, "input", ws_json_bytes(j->in, strlen(j->in)));
    cJSON_AddBoolToObject(root, "dry_run", j->o->texts.dry_run);
    if (j->o->reproduce) {
        add_reproduction(root, j);
    } else if (j->n_outputs == 1) {
        add_output(root, &j->outputs[0]);
    } else {
        cJSON *list = cJSON_AddArrayToObject(root, "outputs");
        for (size_t i = 0; i < j->n_outputs; i++) {
            cJSON *out = cJSON_CreateObject();
            add_output(out, &j->outputs[i]);
            cJSON_AddItemToArray(list, out);
        }
    }
    cJSON_AddNumberToObject(root, "seconds", j->seconds);
    cJSON_AddNumberToObject(root, "sync_seconds", j->sync_seconds);
    return ws_json_print(root, stdout, err);
}

/* ---- on the way ---- */

void ws_job_progress_start(ws_job_progress *p, const ws_job *j) {
    const ws_quantize_plan *plan = &j->outputs[0].plan;
    *p = (ws_job_progress){.events = j->o->progress != NULL};
    p->weights_per_byte = plan->bytes_from ? (double)plan->n_elements / (double)plan->bytes_from : 0;
    ws_progress_start(&p->bar, j->o->reproduce ? "comparing" : "quantizing", NULL, plan->bytes_from,
                      j->quiet || p->events);
    p->bar.items_per_unit = p->weights_per_byte, p->bar.item = "weights";
}

static void print_event(const ws_job_progress *p, double now) {
    fprintf(stderr, "{\"event\": \"progress\", \"bytes\": %llu, \"of\": %llu, \"weights\": %.0f, \"seconds\": %.3f}\n",
            (unsigned long long)p->bar.done, (unsigned long long)p->bar.total,
            (double)p->bar.done * p->weights_per_byte, now - p->bar.start);
}

void ws_job_progress_add(void *progress, uint64_t bytes) {
    static const double EVERY = 1.0 / 6;
    ws_job_progress *p = progress;
    ws_progress_add(&p->bar, bytes);
    const double now = p->events ? ws_now() : 0;
    if (!p->events || now - p->last < EVERY) return;
    p->last = now;
    print_event(p, now);
}

void ws_job_progress_finish(ws_job_progress *p) {
    if (p->events) print_event(p, ws_now());
    ws_progress_finish(&p->bar);
}
