/* session.h - inside a session: the activations, and the steps that the parts of the decoder share. */
#ifndef WS_SESSION_H
#define WS_SESSION_H

#include "attention.h"
#include "cache.h"
#include "forward.h"

typedef void rope_fn(float *x, const float *cos, const float *sin, size_t n);
typedef void activation_fn(float *gate, const float *up, size_t n);

/* Rotary angles: one set for all layers, and one for layers with a sliding window where theirs differ. */
typedef struct {
    double *freq;     /* of n_rot / 2 pairs, per position */
    float *cos, *sin; /* [token][pair] */
} ws_angles;

struct ws_session {
    const ws_model *m;
    ws_session_options o;
    ws_engine e;
    ws_cache cache;
    void *work, *kv; /* the two allocations that everything below lies in */
    size_t position, n_rows;
    const int32_t *tokens; /* of the batch being fed */
    rope_fn *rope;
    activation_fn *activate;

    /* Activations, one row per token of the batch. */
    float *x;         /* the residual stream */
    float *y;         /* what a block adds to it */
    ws_rows h;        /* x, normed */
    float *q, *k, *v; /* queries, keys, values */
    ws_rows att;      /* what attention gives */
    ws_rows ff;       /* gate of the feed-forward block, then gate * up */
    float *up;
    ws_angles full, sliding;
    float *scratch; /* of attention, per thread */
    struct {
        size_t embd, q, k, v, ff;
    } stride;

    /* Experts. */
    struct {
        float *score;     /* [token][expert] */
        size_t stride;    /* of score */
        float *weight;    /* [token][choice] */
        uint32_t *expert; /* [token][choice] */
        uint32_t *token;  /* those that the expert at hand has to work on, */
        float *factor;    /* and their weights */
        ws_rows in;       /* their rows of h */
        float *out;       /* and what becomes of them */
    } moe;

    /* Multi-head latent attention. */
    struct {
        ws_rows q;     /* short vector of the queries */
        float *heads;  /* queries of all heads, unfolded */
        size_t stride; /* of heads */
        float *kv;     /* short vector of keys and values, and the rotated part of the key */
        size_t kv_stride;
        ws_rows in; /* one head */
        float *out;
        size_t out_stride;
    } latent;

    ws_collector *collector; /* may be NULL */
    struct ws_fault *watch;  /* not NULL: look for the first number that is not finite (fault.h) */
};

/* A step over all rows of the batch, shared out over the threads. */
typedef struct {
    ws_session *s;
    const ws_layer *layer;
    size_t index; /* of the layer */
    const ws_norm *norm, *out_norm;
    const float *vector;
    const ws_rows *rows;
} ws_step;

void ws_each_row(const ws_step *st, size_t n_rows, ws_parallel_fn *fn);

/* Products of n_rows rows with up to WS_MAX_PRODUCTS matrices. */
void ws_project(ws_session *s, const ws_rows *in, size_t n_rows, const ws_product *p, size_t n_products);

/* y = norm(x) over norm->n elements; y may be x. */
void ws_apply_norm(const ws_session *s, const ws_norm *norm, const float *x, float *y);

void ws_add_bias(const ws_session *s, float *y, const float *bias, size_t n); /* bias: may be NULL */

/* y = down(activation(gate) * up) of n_rows rows; biases are added, the last one, too. */
void ws_feed_forward_run(ws_session *s, const ws_feed_forward *ff, const ws_rows *in, size_t n_rows, float *y);

/* The parts of a layer that few models have. */
void ws_experts_run(ws_session *s, const ws_layer *l);                  /* y from h */
void ws_latent_project(ws_session *s, const ws_layer *l, size_t layer); /* q and the cache from h */
const ws_rows *ws_latent_unfold(ws_session *s, const ws_layer *l);      /* att -> the input of o */

void ws_decode(ws_session *s); /* tokens -> h, normed for the output */

#endif
