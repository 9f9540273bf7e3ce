"""Settings of the news process: where it looks, how often, and what it does not believe."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from trading.model.base import ConfigModel, Fraction
from trading.model.outside_text import NAME_LENGTH

Address = Annotated[str, StringConstraints(pattern=r"^https?://[^\s]+$", max_length=500)]
Wallet = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{40}$")]
AssetName = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{1,15}$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=NAME_LENGTH)]

# The variable that holds each source's key. Only the news process gets to see them.
CRYPTOPANIC_KEY = "CRYPTOPANIC_API_KEY"
NEWSAPI_KEY = "NEWSAPI_API_KEY"
X_KEY = "X_BEARER_TOKEN"
REDDIT_ID = "REDDIT_CLIENT_ID"
REDDIT_SECRET = "REDDIT_CLIENT_SECRET"
ETHERSCAN_KEY = "ETHERSCAN_API_KEY"
SOURCE_KEYS: dict[str, tuple[str, ...]] = {
    "CryptoPanic": (CRYPTOPANIC_KEY,),
    "NewsAPI": (NEWSAPI_KEY,),
    "X": (X_KEY,),
    "Reddit": (REDDIT_ID, REDDIT_SECRET),
    "Etherscan": (ETHERSCAN_KEY,),
}
KEY_NAMES = tuple(key for keys in SOURCE_KEYS.values() for key in keys)


class NewsMode(StrEnum):
    AUTO = "auto"
    ON = "on"
    OFF = "off"


class SentimentMode(StrEnum):
    AUTO = "auto"
    LEXICON = "lexicon"
    MODEL = "model"


class FeedConfig(ConfigModel):
    """One RSS or Atom feed."""

    name: Name = Field(description="What records call it.")
    url: Address = Field(description="Its own address: redirections are not followed.")


class CryptoPanicConfig(ConfigModel):
    """CryptoPanic's posts, with a key in CRYPTOPANIC_API_KEY."""

    url: Address = Field(
        default="https://cryptopanic.com/api/developer/v2/posts/", description="Its endpoint."
    )
    min_interval_s: float = Field(
        default=300.0, ge=1, le=86_400, description="Not asked more often than this, seconds."
    )


class NewsApiConfig(ConfigModel):
    """NewsAPI's search, with a key in NEWSAPI_API_KEY."""

    url: Address = Field(
        default="https://newsapi.org/v2/everything", description="Its search endpoint."
    )
    query: str = Field(
        default="crypto OR bitcoin OR ethereum OR binance",
        min_length=1,
        max_length=400,
        description="What is searched for, in NewsAPI's own syntax.",
    )
    min_interval_s: float = Field(
        default=900.0,
        ge=1,
        le=86_400,
        description="Not asked more often than this, seconds (the free plan allows 100 a day).",
    )


class XConfig(ConfigModel):
    """X's recent search, with an app's token in X_BEARER_TOKEN."""

    url: Address = Field(
        default="https://api.x.com/2/tweets/search/recent", description="Its search endpoint."
    )
    max_results: int = Field(default=100, ge=10, le=100, description="Posts a request.")
    min_interval_s: float = Field(
        default=900.0, ge=1, le=86_400, description="Not asked more often than this, seconds."
    )


class RedditConfig(ConfigModel):
    """Reddit's newest posts, with an app in REDDIT_CLIENT_ID and REDDIT_CLIENT_SECRET."""

    url: Address = Field(default="https://oauth.reddit.com", description="Its API.")
    token_url: Address = Field(
        default="https://www.reddit.com/api/v1/access_token",
        description="Where an access token is asked for.",
    )
    subreddits: tuple[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]{2,30}$")], ...] = (
        Field(
            default=("CryptoCurrency", "CryptoMarkets"),
            min_length=1,
            max_length=20,
            description="Whose newest posts are read.",
        )
    )
    min_interval_s: float = Field(
        default=60.0, ge=1, le=86_400, description="Not asked more often than this, seconds."
    )


class EtherscanConfig(ConfigModel):
    """Large transfers to and from exchanges' wallets, with a key in ETHERSCAN_API_KEY."""

    url: Address = Field(default="https://api.etherscan.io/v2/api", description="Its endpoint.")
    chain_id: int = Field(default=1, ge=1, description="The chain; 1 is Ethereum.")
    wallets: dict[Name, Wallet] = Field(
        default={
            "Binance 14": "0x28C6c06298d514Db089934071355E5743bf21d60",
            "Binance 15": "0x21a31Ee1afC51D94C2eFcCAa2092aD1028285549",
            "Coinbase 10": "0xA9D1e08C7793af67e9d92fe308d5697FB81d3E43",
        },
        description="Exchanges' wallets that are watched, by what records call them.",
    )
    tokens: dict[AssetName, Wallet] = Field(
        default={
            "LINK": "0x514910771AF9Ca656af840dff83E8264EcF986CA",
            "UNI": "0x1f9840a85d5aF5bf1D1762F925BDADdC4201F984",
            "SHIB": "0x95aD61b0a150d79219dCF64E1E6Cc01f0B64C4cE",
        },
        description="Tokens that are watched beside ETH, by their contract: names are forged.",
    )
    min_notional_usd: float = Field(
        default=1_000_000.0, gt=0, description="Smaller transfers are left out, USD."
    )
    requests_per_s: float = Field(
        default=3.0, gt=0, le=100, description="Most requests a second; free keys may do 5."
    )
    min_interval_s: float = Field(
        default=120.0, ge=1, le=86_400, description="Not asked more often than this, seconds."
    )


class NewsConfig(ConfigModel):
    """The news process. Keys are only ever in the environment; without one its source is off."""

    mode: NewsMode = Field(
        default=NewsMode.AUTO,
        description="auto: on venues with a real market (testnet, binance); on: always, also "
        "beside a generated market, whose prices know nothing of the news; off: never.",
    )
    interval_s: float = Field(
        default=60.0, ge=1, le=3600, description="Time between two rounds through the sources, s."
    )
    timeout_s: float = Field(
        default=10.0, gt=0, le=120, description="Longest wait for one source, seconds."
    )
    max_answer_bytes: int = Field(
        default=2_000_000, ge=1_000, le=50_000_000, description="Longer answers are refused."
    )
    max_age_h: float = Field(
        default=24.0, gt=0, le=168, description="Older articles are left out, hours."
    )
    min_headline_relevance: Fraction = Field(
        default=0.6,
        description="Headlines below it give no news spike; tools see them all the same (0 to 1).",
    )
    sentiment: SentimentMode = Field(
        default=SentimentMode.AUTO,
        description="lexicon: VADER with crypto words; model: the agents' model, in batches, the "
        "lexicon where it fails; auto: the model where its key is set.",
    )
    batch_size: int = Field(
        default=20, ge=1, le=100, description="Headlines a request to the model."
    )
    feeds: tuple[FeedConfig, ...] = Field(
        default=(
            FeedConfig(name="CoinDesk", url="https://www.coindesk.com/arc/outboundfeeds/rss/"),
            FeedConfig(name="Cointelegraph", url="https://cointelegraph.com/rss"),
            FeedConfig(name="Decrypt", url="https://decrypt.co/feed"),
            FeedConfig(name="CryptoPotato", url="https://cryptopotato.com/feed/"),
        ),
        max_length=50,
        description="RSS and Atom feeds.",
    )
    cryptopanic: CryptoPanicConfig = Field(
        default_factory=CryptoPanicConfig, description="CryptoPanic."
    )
    newsapi: NewsApiConfig = Field(default_factory=NewsApiConfig, description="NewsAPI.")
    x: XConfig = Field(default_factory=XConfig, description="X, formerly Twitter.")
    reddit: RedditConfig = Field(default_factory=RedditConfig, description="Reddit.")
    etherscan: EtherscanConfig = Field(default_factory=EtherscanConfig, description="Etherscan.")

    def is_read_beside(self, venue: str) -> bool:
        """Whether news are read beside a market of this venue."""
        if self.mode is NewsMode.AUTO:
            return venue != "sim"
        return self.mode is NewsMode.ON
